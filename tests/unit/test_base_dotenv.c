/* test_base_dotenv.c - `.env` files: what is read, what is refused and with which line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/config.h"
#include "base/dotenv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pn_buf seen; /* "NAME=value@line;" for every assignment */
static struct pn_err err;

static int note(void *ctx, struct pn_str name, struct pn_str value, int line, struct pn_err *e)
{
    pn_buf_printf(&seen, "%.*s=%.*s@%d;", (int)name.len, name.ptr, (int)value.len, value.ptr, line);
    return 0;
}

static int parse(struct pn_str text)
{
    pn_buf_clear(&seen);
    pn_buf_puts(&seen, ">");
    memset(&err, 0, sizeof(err));
    return pn_dotenv_parse(text, "f.env", note, NULL, &err);
}

static void test_accepted(void **state)
{
    const struct {
        struct pn_str text;
        const char *says;
    } CASES[] = {
        { PN_STR(""), ">" },
        { PN_STR("A=1"), ">A=1@1;" },
        { PN_STR("\n# c\n  \nA=1\n"), ">A=1@4;" },
        { PN_STR("\xef\xbb\xbf"
                 "A=1\r\nB=2\r\n"),
          ">A=1@1;B=2@2;" },
        { PN_STR("export A=1\nexport\tB = 2 \n"), ">A=1@1;B=2@2;" },
        { PN_STR("A=\nB=''\nC=\"\"\n"), ">A=@1;B=@2;C=@3;" },
        { PN_STR("A=a b # c\nB=a#b\nC=#c\n"), ">A=a b@1;B=a#b@2;C=@3;" },
        { PN_STR("A='a # \\n $x'\t# c\n"), ">A=a # \\n $x@1;" },
        { PN_STR("A=\"a\\n\\t\\\"\\\\ # $x\" # c\n"), ">A=a\n\t\"\\ # $x@1;" },
        { PN_STR("A=it's\n"), ">A=it's@1;" },
        { PN_STR("_a9=x\nA=2\nA=3\n"), ">_a9=x@1;A=2@2;A=3@3;" },
        { PN_STR("exported=1\n"), ">exported=1@1;" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        assert_int_equal(parse(CASES[i].text), 0);
        assert_string_equal(seen.ptr, CASES[i].says);
    }
}

static void test_refused(void **state)
{
    const struct {
        struct pn_str text;
        const char *says;
    } CASES[] = {
        { PN_STR("A=1\nnonsense\n"), "f.env:2: not a line of the form NAME=value" },
        { PN_STR("=1"), "f.env:1: not a line of the form NAME=value" },
        { PN_STR("9A=1"), "f.env:1: not a line of the form NAME=value" },
        { PN_STR("A-B=1"), "f.env:1: not a line of the form NAME=value" },
        { PN_STR("A B=1"), "f.env:1: not a line of the form NAME=value" },
        { PN_STR("\n\nA='x\n"), "f.env:3: the closing ' is missing" },
        { PN_STR("A=\"x\nB=y\""), "f.env:1: the closing \" is missing" },
        { PN_STR("A=\"x\\"),
          "f.env:1: only \\n, \\t, \\\" and \\\\ may follow a backslash in double quotes" },
        { PN_STR("A=\"\\x\""),
          "f.env:1: only \\n, \\t, \\\" and \\\\ may follow a backslash in double quotes" },
        { PN_STR("A='x'y"), "f.env:1: something follows the closing quote" },
        { PN_STR("A=1\0"), "f.env:1: a NUL byte" },
        { PN_STR("A=\"\\\0\""), "f.env:1: a NUL byte" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        assert_int_equal(parse(CASES[i].text), -PN_EFORMAT);
        assert_string_equal(err.text, CASES[i].says);
    }
}

static void test_size(void **state)
{
    size_t len = 1 << 20;
    char *text = malloc(len);
    memset(text, 'x', len);
    memcpy(text, "A=\"", 3);
    assert_int_equal(parse((struct pn_str){ text, len }), -PN_ELIMIT); /* one line of 1 MB */
    text[65535] = '"';
    assert_int_equal(parse((struct pn_str){ text, 65536 }), 0);
    assert_int_equal(seen.len, 1 + 2 + 65536 - 4 + 3);
    free(text);
}

static int refuse_second(void *ctx, struct pn_str name, struct pn_str value, int line, struct pn_err *e)
{
    int *calls = ctx;
    return ++*calls == 2 ? -PN_ECANCELLED : 5;
}

static void test_callback_ends_it(void **state)
{
    int calls = 0;
    assert_int_equal(pn_dotenv_parse(PN_STR("A=1\nB=2\nC=3\n"), "f", refuse_second, &calls, NULL),
                     -PN_ECANCELLED);
    assert_int_equal(calls, 2);
}

/* --- files into a table --- */

static char file[] = "/tmp/pinna-dotenv-XXXXXX";

static int read_into(const char *text, struct pn_config *c, struct pn_opt_origin *ret_threads)
{
    struct pn_arena *a = NULL;
    struct pn_opt_values v;
    FILE *f = fopen(file, "w");
    fputs(text, f);
    fclose(f);
    memset(&err, 0, sizeof(err));
    assert_int_equal(pn_arena_new(1 << 20, &a), 0);
    assert_int_equal(pn_opt_init(&v, &pn_config_table, c, a), 0);
    int r = pn_opt_read_dotenv(&v, file, true, &err);
    *ret_threads = v.origins[pn_opt_by_key(v.table, PN_STR("engine.threads"))];
    pn_arena_free(a);
    return r;
}

static void test_into_a_table(void **state)
{
    struct pn_config c;
    struct pn_opt_origin threads;
    assert_int_equal(
        read_into("PORT=1\nPORT=2\nMKL_NUM_THREADS=5\nOMP_NUM_THREADS=4,2\nMKL_NUM_THREADS=7\nHOST=\n", &c,
                  &threads),
        0);
    assert_int_equal(c.port, 2);    /* the last line of a name counts */
    assert_int_equal(c.threads, 4); /* but the first name of several */
    assert_int_equal(threads.line, 4);
    assert_int_equal(read_into("\n\nASR_QUEUE_SIZE=abc\n", &c, &threads), -PN_EINVAL);
    assert_non_null(strstr(err.text, ":3: ASR_QUEUE_SIZE: 'abc' is not a whole number between 1 and 100000"));
    assert_int_equal(read_into("OMP_NUM_THREADS=many\n", &c, &threads), -PN_EINVAL);
    assert_non_null(strstr(err.text, ":1: OMP_NUM_THREADS: 'many'"));
    assert_int_equal(read_into("PROT=1\n", &c, &threads), -PN_EINVAL);
    assert_non_null(strstr(err.text, ":1: unknown name 'PROT'; did you mean 'PORT'?"));
}

static void test_missing_file(void **state)
{
    struct pn_arena *a = NULL;
    struct pn_opt_values v;
    struct pn_config c;
    assert_int_equal(pn_arena_new(1 << 20, &a), 0);
    assert_int_equal(pn_opt_init(&v, &pn_config_table, &c, a), 0);
    memset(&err, 0, sizeof(err));
    assert_int_equal(pn_opt_read_dotenv(&v, "/nonsense/.env", false, &err), 0);
    assert_int_equal(err.code, 0);
    assert_int_equal(pn_opt_read_dotenv(&v, "/nonsense/.env", true, &err), -PN_ENOTFOUND);
    memset(&err, 0, sizeof(err));
    assert_int_equal(pn_opt_read_dotenv(&v, "/tmp", false, &err), -PN_EIO); /* there, but no file */
    memset(&err, 0, sizeof(err));
    assert_int_equal(pn_opt_read_dotenv(&v, "/dev/zero", false, &err), -PN_ELIMIT);
    assert_string_equal(err.text, "/dev/zero is larger than 64 KB");
    pn_arena_free(a);
}

static int begin(void **state)
{
    pn_buf_init(&seen, 1 << 21);
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int done(void **state)
{
    pn_buf_done(&seen);
    return unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_size),         cmocka_unit_test(test_callback_ends_it),
        cmocka_unit_test(test_into_a_table), cmocka_unit_test(test_missing_file),
    };
    return cmocka_run_group_tests(tests, begin, done);
}
