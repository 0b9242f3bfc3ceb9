/* test_cli_progress.c - the progress line: what it says, never wider than the terminal, nothing that moves
 * the cursor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

static struct pn_progress_view view(const char *name, double position, double duration, double elapsed)
{
    return (struct pn_progress_view){ .name = name,
                                      .file = 1,
                                      .n_files = 1,
                                      .position_s = position,
                                      .duration_s = duration,
                                      .elapsed_s = elapsed };
}

static void check(struct pn_progress_view v, int width, const char *want)
{
    char line[512];
    pn_progress_format(&v, width, line, sizeof(line));
    assert_string_equal(line, want);
}

static void test_what_it_says(void **state)
{
    check(view("talk.mp3", 30, 120, 10), 60, "talk.mp3 [#####--------------]  25% 0:30/2:00 3.0x 0:30 left");
    check(view("talk.mp3", 0, 3725, 1), 60, "talk.mp3 [--------------------------]   0% 0:00/1:02:05 0.0x");
    check(view("talk.mp3", 4, -1, 2), 60, "talk.mp3 0:04 2.0x");
    check(view("talk.mp3", 130, 120, 10), 60, "talk.mp3 [##################] 100% 2:10/2:00 13.0x 0:00 left");
    struct pn_progress_view v = view("base.pt", 30e6, 145.2e6, 10);
    v.bytes = true;
    check(v, 70, "base.pt [#####-----------------]  20% 30.0/145.2 MB 3.0 MB/s 0:38 left");
    v.duration_s = -1;
    check(v, 70, "base.pt 30.0 MB 3.0 MB/s");
    v = view("b.wav", 0, -1, 0);
    v.file = 2;
    v.n_files = 12;
    check(v, 60, "[2/12] b.wav 0:00 0.0x");
}

static void test_a_narrow_terminal(void **state)
{
    check(view("a-long-name-of-a-talk.mp3", 30, 120, 10), 46, "a-long-name-  25% 0:30/2:00 3.0x 0:30 left");
}

/* Columns of a line of ASCII and two-column characters. */
static int columns(const char *line)
{
    int n = 0;
    for (; *line; line++)
        n += ((unsigned char)*line & 0xC0) == 0x80 ? 0 : (unsigned char)*line >= 0xE0 ? 2 : 1;
    return n;
}

static void test_never_wider_than_the_terminal(void **state)
{
    static const char *const names[] = {
        "", "x", "录音录音录音录音录音录音录音录音.wav",
        "a-rather-long-name-that-goes-on-and-on-and-on-and-on-and-on-and-on.flac"
    };
    char line[512];
    for (size_t i = 0; i < 4; i++)
        for (int width = 0; width < 200; width++) {
            struct pn_progress_view v = view(names[i], 5000, i % 2 ? 9000 : -1, 7);
            v.n_files = i + 1;
            pn_progress_format(&v, width, line, sizeof(line));
            assert_true(columns(line) <= width);
        }
}

static void test_names_cannot_write_to_the_terminal(void **state)
{
    char line[512];
    struct pn_progress_view v = view("a\x1b[31m\r\n\x7f\xff\xc2\x9b.wav", 0, -1, 0);
    pn_progress_format(&v, 79, line, sizeof(line));
    assert_string_equal(line, "a?[31m?????.wav 0:00 0.0x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_says),
        cmocka_unit_test(test_a_narrow_terminal),
        cmocka_unit_test(test_never_wider_than_the_terminal),
        cmocka_unit_test(test_names_cannot_write_to_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
