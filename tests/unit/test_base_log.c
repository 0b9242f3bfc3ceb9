/* test_base_log.c - the log's lines, its escaping, rotation, reopening, and what happens when it is too slow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/pinna-log-XXXXXX";
static char path[128];

static int make_dir(void **state)
{
    return mkdtemp(dir) ? 0 : -1;
}

static void empty_dir(const char *name)
{
    DIR *d = opendir(name);
    for (struct dirent *e; d && (e = readdir(d));) {
        char file[PATH_MAX];
        snprintf(file, sizeof(file), "%s/%s", name, e->d_name);
        if (e->d_name[0] != '.' && unlink(file) < 0) {
            empty_dir(file);
            rmdir(file);
        }
    }
    if (d)
        closedir(d);
}

static int remove_dir(void **state)
{
    empty_dir(dir);
    return rmdir(dir);
}

static int fresh(void **state)
{
    empty_dir(dir);
    snprintf(path, sizeof(path), "%s/logs/deep/asr.log", dir);
    return 0;
}

static void start(struct pn_log_options opt)
{
    struct pn_err err = { 0 };
    if (pn_log_start(&opt, &err) < 0)
        fail_msg("%s", err.text);
}

static struct pn_buf contents(const char *name)
{
    struct pn_buf b;
    pn_buf_init(&b, 64 << 20);
    assert_int_equal(pn_file_read(name, &b, NULL), 0);
    return b;
}

static size_t count_lines(const struct pn_buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->len; i++)
        n += b->ptr[i] == '\n';
    assert_true(b->len == 0 || b->ptr[b->len - 1] == '\n');
    return n;
}

static void test_text_line(void **state)
{
    start((struct pn_log_options){ .level = PN_INFO, .file = path });
    pn_log(PN_DEBUG, "not shown", F_I64("x", 1));
    pn_log(PN_INFO, "upload done", F_I64("bytes", 12), F_CSTR("name", "a b"), F_F64("took", 0.25),
           F_BOOL("ok", true), F_CSTR("id", "ab-1.wav"), F_CSTR("none", NULL));
    pn_log_stop();
    struct pn_buf b = contents(path);
    assert_int_equal(count_lines(&b), 1);
    assert_string_equal(b.ptr + 24,
                        " INFO  upload done bytes=12 name=\"a b\" took=0.25 ok=true id=ab-1.wav none=\"\"\n");
    assert_true(b.ptr[4] == '-' && b.ptr[10] == 'T' && b.ptr[19] == '.' && b.ptr[23] == 'Z');
    pn_buf_done(&b);
}

static void test_json_line(void **state)
{
    start((struct pn_log_options){ .level = PN_DEBUG, .json = true, .file = path });
    pn_log(PN_WARN, "slow", F_I64("bytes", 12), F_STR("name", PN_STR("a\"\n\xff")), F_F64("took", 0.25),
           F_BOOL("ok", false));
    pn_log_stop();
    struct pn_buf b = contents(path);
    assert_int_equal(count_lines(&b), 1);
    json_t *v = json_loadb(b.ptr, b.len, JSON_REJECT_DUPLICATES, NULL);
    const char *time, *level, *event, *name;
    int bytes, ok;
    double took;
    assert_int_equal(json_unpack(v, "{s:s s:s s:s s:i s:s s:f s:b !}", "time", &time, "level", &level,
                                 "event", &event, "bytes", &bytes, "name", &name, "took", &took, "ok", &ok),
                     0);
    assert_string_equal(level, "warn");
    assert_string_equal(event, "slow");
    assert_string_equal(name, "a\"\n\xef\xbf\xbd");
    assert_true(bytes == 12 && took == 0.25 && !ok && strlen(time) == 24);
    json_decref(v);
    pn_buf_done(&b);
}

static void test_nothing_breaks_a_line(void **state)
{
    start((struct pn_log_options){ .level = PN_INFO, .file = path });
    pn_log(
        PN_INFO, "event\nwith\x1b[31m break",
        F_STR("name",
              PN_STR("x\n2026-11-20T16:01:02.345Z ERROR forged\r\x1b]0;t\x07\0 \xc2\x85 \xe2\x80\xa8 \xc3(")),
        F_CSTR("quote", "a\" forged=\"1"));
    pn_log_stop();
    struct pn_buf b = contents(path);
    assert_int_equal(count_lines(&b), 1);
    assert_string_equal(
        b.ptr + 24, " INFO  event\\nwith\\u001b[31m break "
                    "name=\"x\\n2026-11-20T16:01:02.345Z ERROR forged\\r\\u001b]0;t\\u0007\\u0000 \\u0085 "
                    "\\u2028 \xef\xbf\xbd(\" quote=\"a\\\" forged=\\\"1\"\n");
    pn_buf_done(&b);
}

static void test_long_records_are_cut(void **state)
{
    static char huge[200000];
    memset(huge, 1, sizeof(huge));
    start((struct pn_log_options){ .level = PN_INFO, .json = true, .file = path });
    struct pn_field many[5];
    for (size_t i = 0; i < PN_ARRAY_LEN(many); i++)
        many[i] = F_STR("x", ((struct pn_str){ huge, sizeof(huge) }));
    pn_log_write(PN_INFO, "one", many, 1);
    pn_log_write(PN_INFO, "all", many, PN_ARRAY_LEN(many));
    pn_log_stop();
    struct pn_buf b = contents(path);
    assert_int_equal(count_lines(&b), 2);
    size_t first = (size_t)(strchr(b.ptr, '\n') - b.ptr);
    assert_in_range(first, 4096 * 6, 4096 * 6 + 200);
    assert_non_null(strstr(b.ptr + first, "\"event\":\"all\",\"fields_left_out\":true}"));
    pn_buf_done(&b);
}

/* The numbers n=... of a file follow each other; returns the last. */
static long follow(const char *name, long last)
{
    struct pn_buf b = contents(name);
    for (const char *p = b.ptr; p && p < b.ptr + b.len; p = strchr(p, '\n') + 1) {
        const char *n = strstr(p, " n=");
        assert_non_null(n);
        long v = strtol(n + 3, NULL, 10);
        assert_true(last < 0 || v == last + 1);
        last = v;
    }
    assert_true(b.len <= 1000);
    pn_buf_done(&b);
    return last;
}

static void test_rotation(void **state)
{
    start((struct pn_log_options){ .level = PN_INFO, .file = path, .rotate_bytes = 1000, .rotate_keep = 3 });
    for (int i = 0; i < 300; i++)
        pn_log(PN_INFO, "record", F_I64("n", i));
    pn_log_stop();
    long last = -1;
    char name[160];
    for (int k = 3; k >= 1; k--) {
        snprintf(name, sizeof(name), "%s.%d", path, k);
        last = follow(name, last);
    }
    assert_int_equal(follow(path, last), 299);
    snprintf(name, sizeof(name), "%s.4", path);
    assert_int_equal(access(name, F_OK), -1);
}

static void test_rotation_continues_a_file(void **state)
{
    for (int i = 0; i < 60; i++) {
        start((struct pn_log_options){ .level = PN_INFO, .file = path, .rotate_bytes = 1000 });
        pn_log(PN_INFO, "record", F_I64("n", i));
        pn_log_stop();
    }
    char name[160];
    snprintf(name, sizeof(name), "%s.1", path);
    long last = follow(name, -1);
    assert_int_equal(follow(path, last), 59);
}

static void wait_for_bytes(const char *name)
{
    struct stat st = { 0 };
    for (int i = 0; i < 500 && st.st_size == 0; i++) {
        usleep(10000);
        assert_int_equal(stat(name, &st), 0);
    }
    assert_true(st.st_size > 0);
}

static void test_reopen(void **state)
{
    char moved[160];
    snprintf(moved, sizeof(moved), "%s.moved", path);
    start((struct pn_log_options){ .level = PN_INFO, .file = path });
    pn_log(PN_INFO, "before", F_I64("n", 1));
    pn_log_reopen();
    wait_for_bytes(path);
    assert_int_equal(rename(path, moved), 0);
    pn_log_reopen();
    pn_log(PN_INFO, "after", F_I64("n", 2));
    pn_log_stop();
    struct pn_buf a = contents(moved), b = contents(path);
    assert_non_null(strstr(a.ptr, "before"));
    assert_null(strstr(a.ptr, "after"));
    assert_non_null(strstr(b.ptr, "after"));
    pn_buf_done(&a);
    pn_buf_done(&b);
}

/* Somebody moved the file and told nobody: it is not rotated a second time, a new one begins. */
static void test_a_file_that_was_moved_away(void **state)
{
    char moved[160], numbered[160];
    snprintf(moved, sizeof(moved), "%s.moved", path);
    snprintf(numbered, sizeof(numbered), "%s.1", path);
    start((struct pn_log_options){ .level = PN_INFO, .file = path, .rotate_bytes = 1000 });
    pn_log(PN_INFO, "record", F_I64("n", 0));
    wait_for_bytes(path);
    assert_int_equal(rename(path, moved), 0);
    for (int i = 1; i < 30; i++)
        pn_log(PN_INFO, "record", F_I64("n", i));
    pn_log_stop();
    assert_int_equal(follow(path, follow(moved, -1)), 29);
    assert_int_equal(access(numbered, F_OK), -1);
}

static void test_file_is_not_inherited(void **state)
{
    int found = 0;
    start((struct pn_log_options){ .level = PN_INFO, .file = path });
    for (int fd = 3; fd < 100; fd++) {
        char link[64], target[PATH_MAX] = "";
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (readlink(link, target, sizeof(target) - 1) > 0 && strcmp(target, path) == 0) {
            found++;
            assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        }
    }
    pn_log_stop();
    assert_int_equal(found, 1);
}

static void test_file_that_cannot_be_opened(void **state)
{
    struct pn_err err = { 0 };
    struct pn_log_options opt = { .level = PN_DEBUG, .file = "/proc/nonsense/asr.log" };
    assert_int_equal(pn_log_start(&opt, &err), -PN_EIO);
    assert_non_null(strstr(err.text, "/proc/nonsense/asr.log"));
    pn_log_stop(); /* nothing was started: fine */
}

/* --- stderr --- */

static int saved_stderr, pipe_end;

static void catch_stderr(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    pipe_end = ends[0];
}

static void release_stderr(void)
{
    dup2(saved_stderr, STDERR_FILENO); /* the pipe's last writer is gone */
    close(saved_stderr);
}

static void *read_pipe(void *arg)
{
    struct pn_buf *b = arg;
    char piece[65536];
    ssize_t n;
    while ((n = read(pipe_end, piece, sizeof(piece))) > 0)
        pn_buf_append(b, piece, (size_t)n);
    close(pipe_end);
    return NULL;
}

static void test_stderr_without_start(void **state)
{
    struct pn_buf b;
    pn_buf_init(&b, 1 << 20);
    catch_stderr();
    pn_log(PN_ERROR, "at once", F_I64("n", 1));
    release_stderr();
    read_pipe(&b);
    assert_non_null(b.ptr);
    assert_non_null(strstr(b.ptr, "ERROR at once n=1\n"));
    pn_buf_done(&b);
}

/* Nobody reads stderr: the caller must not wait, the loss must be told. */
static void test_a_slow_reader_costs_records_not_time(void **state)
{
    enum { RECORDS = 60000 };
    struct pn_buf b;
    pthread_t reader;
    uint64_t before = pn_log_dropped();
    pn_buf_init(&b, 64 << 20);
    catch_stderr();
    start((struct pn_log_options){ .level = PN_INFO, .to_stderr = true });
    for (int i = 0; i < RECORDS; i++)
        pn_log(PN_INFO, "record", F_I64("n", i), F_CSTR("text", "some text that makes it longer"));
    uint64_t lost = pn_log_dropped() - before;
    pthread_create(&reader, NULL, read_pipe, &b);
    pn_log_stop();
    release_stderr();
    pthread_join(reader, NULL);
    assert_true(lost > 0 && lost < RECORDS);
    const char *told = b.ptr;
    uint64_t sum = 0, lines = count_lines(&b), tellings = 0;
    while ((told = strstr(told, "WARN  log records lost records="))) {
        told += strlen("WARN  log records lost records=");
        sum += strtoull(told, NULL, 10);
        tellings++;
    }
    assert_int_equal(sum, lost);
    assert_int_equal(lines - tellings + lost, RECORDS);
    pn_buf_done(&b);
}

/* --- threads --- */

#define THREADS 4
#define EACH    3000

static void *log_many(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        pn_log(PN_INFO, "record", F_I64("thread", (intptr_t)arg), F_I64("n", i));
        if (i % 1000 == 0)
            pn_log_reopen();
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    pthread_t threads[THREADS];
    uint64_t before = pn_log_dropped();
    start((struct pn_log_options){ .level = PN_INFO, .json = true, .file = path });
    for (intptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, log_many, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pn_log_stop();
    struct pn_buf b = contents(path);
    size_t good = 0;
    for (char *p = b.ptr, *end; p < b.ptr + b.len; p = end + 1) {
        end = strchr(p, '\n');
        json_t *v = json_loadb(p, (size_t)(end - p), 0, NULL);
        assert_non_null(v);
        good += json_object_get(v, "thread") != NULL;
        json_decref(v);
    }
    assert_int_equal(good + (pn_log_dropped() - before), THREADS * EACH);
    pn_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_stderr_without_start, fresh),
        cmocka_unit_test_setup(test_text_line, fresh),
        cmocka_unit_test_setup(test_json_line, fresh),
        cmocka_unit_test_setup(test_nothing_breaks_a_line, fresh),
        cmocka_unit_test_setup(test_long_records_are_cut, fresh),
        cmocka_unit_test_setup(test_rotation, fresh),
        cmocka_unit_test_setup(test_rotation_continues_a_file, fresh),
        cmocka_unit_test_setup(test_reopen, fresh),
        cmocka_unit_test_setup(test_a_file_that_was_moved_away, fresh),
        cmocka_unit_test_setup(test_file_is_not_inherited, fresh),
        cmocka_unit_test_setup(test_file_that_cannot_be_opened, fresh),
        cmocka_unit_test_setup(test_a_slow_reader_costs_records_not_time, fresh),
        cmocka_unit_test_setup(test_many_threads, fresh),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
