/* test_model_packed.c - packed files: what is written is read back, stale and damaged ones are told apart,
 * and no half file is ever seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fixtures.h"
#include "model/packed_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH + 16];
static struct pn_err err;

static const struct pn_packed_key KEY = {
    .kind = "whisper",
    .precision = "int8",
    .layout = 3,
    .source = { .size = 1000, .mtime_ns = -5, .hash = { 1, 2, 3 } },
};

static int set_up(void **state)
{
    memset(&err, 0, sizeof(err));
    if (!pn_fixture_temp_dir(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/m.pnk", folder);
    return 0;
}

static int tear_down(void **state)
{
    pn_fixture_remove_dir(folder);
    return 0;
}

/* Files in the folder. */
static int count_files(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

/* Sizes around the regions' (16 MB), and one of nothing. */
static const size_t SIZES[] = { 0, 1, 63, 64, 65, 4096, 100000, (16 << 20) - 64, 17 << 20, 5 };

static void fill(struct pn_packed_writer *w)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(SIZES); i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%zu", i);
        uint8_t *p = pn_packed_add(w, name, SIZES[i], &err);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t j = 0; j < SIZES[i]; j += 1 + SIZES[i] / 100)
            assert_int_equal(p[j], 0);
        memset(p, (int)i + 1, SIZES[i]);
    }
}

static void check_filled(const struct pn_packed *p)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(SIZES); i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%zu", i);
        size_t size = 12345;
        const uint8_t *s = pn_packed_find(p, name, &size);
        assert_non_null(s);
        assert_int_equal(size, SIZES[i]);
        assert_int_equal((uintptr_t)s % 64, 0);
        for (size_t j = 0; j < size; j++)
            if (s[j] != i + 1)
                fail_msg("section %zu differs at %zu", i, j);
    }
    size_t size = 12345;
    assert_null(pn_packed_find(p, "s", &size));
    assert_null(pn_packed_find(p, "t", &size));
    assert_int_equal(size, 12345);
}

static void write_file(const struct pn_packed_key *key)
{
    struct pn_packed_writer *w = NULL;
    struct pn_packed *p = NULL;
    assert_int_equal(pn_packed_writer_new(path, key, &w, &err), 0);
    uint8_t *s = pn_packed_add(w, "one", 100, &err);
    assert_non_null(s);
    memset(s, 7, 100);
    assert_non_null(pn_packed_add(w, "two", 1, &err));
    assert_int_equal(pn_packed_commit(w, &p, &err), 0);
    pn_packed_close(p);
}

static void test_round_trip(void **state)
{
    for (int memory = 0; memory < 2; memory++) {
        struct pn_packed_writer *w = NULL;
        struct pn_packed *p = NULL;
        assert_int_equal(pn_packed_writer_new(memory ? NULL : path, &KEY, &w, &err), 0);
        fill(w);
        assert_int_equal(pn_packed_open(path, &KEY, &p, &err),
                         memory ? 0 : -PN_ENOTFOUND); /* not before the end */
        p = pn_packed_close(p);
        memset(&err, 0, sizeof(err));
        assert_int_equal(pn_packed_commit(w, &p, &err), 0);
        check_filled(p);
        assert_true(pn_packed_size(p) > (33u << 20));
        pn_packed_close(p);
        assert_int_equal(count_files(), 1);
    }
    struct pn_packed *p = NULL;
    assert_int_equal(pn_packed_open(path, &KEY, &p, &err), 0);
    check_filled(p);
    pn_packed_close(p);
}

static void test_stale(void **state)
{
    write_file(&KEY);
    struct pn_packed_key others[7];
    for (size_t i = 0; i < PN_ARRAY_LEN(others); i++)
        others[i] = KEY;
    others[0].kind = "whispe";
    others[1].kind = "paraformer";
    others[2].precision = "f32";
    others[3].layout++;
    others[4].source.size++;
    others[5].source.mtime_ns++;
    others[6].source.hash[15]++;
    struct pn_packed *p = NULL;
    for (size_t i = 0; i < PN_ARRAY_LEN(others); i++) {
        memset(&err, 0, sizeof(err));
        assert_int_equal(pn_packed_open(path, &others[i], &p, &err), -PN_ENOTFOUND);
        assert_int_equal(err.code, PN_ENOTFOUND);
    }
    write_file(&others[3]); /* takes the old one's place */
    assert_int_equal(pn_packed_open(path, &others[3], &p, NULL), 0);
    pn_packed_close(p);
}

static void put_file(const char *to, const void *bytes, size_t size)
{
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

/* Cut off at every length, and every byte of head and table changed: refused, or (the rest of the head's key)
 * for another model. */
static void test_damaged(void **state)
{
    write_file(&KEY);
    struct pn_buf whole;
    assert_true(pn_fixture_read(path, &whole));
    struct pn_packed *p = NULL;
    for (size_t n = 0; n < whole.len; n++) {
        put_file(path, whole.ptr, n);
        assert_int_equal(pn_packed_open(path, &KEY, &p, NULL), -PN_EFORMAT);
    }
    for (size_t i = 0; i < whole.len; i++) {
        bool head = i < sizeof(struct pn_packed_head),
             table = i >= whole.len - 2 * sizeof(struct pn_packed_entry);
        if (!head && !table)
            continue;
        whole.ptr[i] ^= 0x40;
        put_file(path, whole.ptr, whole.len);
        int r = pn_packed_open(path, &KEY, &p, NULL);
        bool version = i >= 8 && i < 12;
        assert_int_equal(r, version ? -PN_ENOTFOUND : -PN_EFORMAT);
        whole.ptr[i] ^= 0x40;
    }
    put_file(path, whole.ptr, whole.len);
    assert_int_equal(pn_packed_open(path, &KEY, &p, NULL), 0);
    pn_packed_close(p);
    pn_buf_done(&whole);
}

/* A table with a right checksum and wrong contents. */
static void test_forged(void **state)
{
    write_file(&KEY);
    struct pn_buf whole;
    assert_true(pn_fixture_read(path, &whole));
    struct pn_packed_head h;
    memcpy(&h, whole.ptr, sizeof(h));
    struct pn_packed_entry good[2];
    memcpy(good, whole.ptr + h.table, sizeof(good));
    for (int i = 0; i < 7; i++) {
        struct pn_packed_entry e[2];
        memcpy(e, good, sizeof(e));
        if (i == 0)
            e[0].offset = 8; /* not aligned, in the head */
        else if (i == 1)
            e[1].offset = 0;
        else if (i == 2)
            e[1].offset = h.table;
        else if (i == 3)
            e[0].size = UINT64_MAX - 63;
        else if (i == 4)
            memset(e[1].name, 'x', sizeof(e[1].name));
        else if (i == 5)
            memcpy(e[1].name, e[0].name, sizeof(e[1].name));
        pn_packed_checksum(&h, e, h.checksum);
        memcpy(whole.ptr, &h, sizeof(h));
        memcpy(whole.ptr + h.table, e, sizeof(e));
        put_file(path, whole.ptr, whole.len);
        struct pn_packed *p = NULL;
        assert_int_equal(pn_packed_open(path, &KEY, &p, NULL), i < 6 ? -PN_EFORMAT : 0);
        pn_packed_close(p);
    }
    pn_buf_done(&whole);
}

static void test_misuse(void **state)
{
    struct pn_packed_writer *w = NULL;
    struct pn_packed *p = NULL;
    struct pn_packed_key key = KEY;
    key.precision = "a precision of more than fifteen letters";
    assert_int_equal(pn_packed_writer_new(NULL, &key, &w, NULL), -PN_EINVAL);
    assert_int_equal(pn_packed_writer_new("/nonexistent/m.pnk", &KEY, &w, NULL), -PN_EIO);
    assert_int_equal(pn_packed_writer_new(path, &KEY, &w, NULL), 0);
    char name[80];
    memset(name, 'n', sizeof(name));
    name[64] = 0;
    assert_null(pn_packed_add(w, name, 1, NULL));
    name[63] = 0;
    assert_non_null(pn_packed_add(w, name, 1, NULL));
    assert_null(pn_packed_add(w, "huge", SIZE_MAX, NULL));
    const struct rlimit small = { 48 << 20, RLIM_INFINITY }; /* as a full disk */
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_null(pn_packed_add(w, "huge", 64 << 20, &err));
    assert_int_equal(err.code, PN_EIO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_non_null(pn_packed_add(w, name, 1, NULL));
    assert_int_equal(pn_packed_commit(w, &p, NULL), -PN_EINVAL); /* the name twice */
    assert_null(p);
    assert_int_equal(count_files(), 0);
    assert_int_equal(pn_packed_writer_new(path, &KEY, &w, NULL), 0);
    assert_int_equal(count_files(), 1);
    pn_packed_writer_free(w);
    assert_int_equal(count_files(), 0);
}

/* Two writers at once: each commits a whole file, the later one stays. */
static void test_two_writers(void **state)
{
    struct pn_packed_writer *w[2] = { NULL };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pn_packed_writer_new(path, &KEY, &w[i], NULL), 0);
        uint8_t *s = pn_packed_add(w[i], "s", 10, NULL);
        assert_non_null(s);
        memset(s, i + 1, 10);
    }
    struct pn_packed *p[3] = { NULL };
    size_t size;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pn_packed_commit(w[i], &p[i], NULL), 0);
    assert_int_equal(pn_packed_open(path, &KEY, &p[2], NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(*(const uint8_t *)pn_packed_find(p[i], "s", &size), i == 0 ? 1 : 2);
        pn_packed_close(p[i]);
    }
    assert_int_equal(count_files(), 1);
}

/* A writer that is killed leaves a temporary at most, which the next writer removes. */
static void test_killed_writer(void **state)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct pn_packed_writer *w = NULL;
        if (pn_packed_writer_new(path, &KEY, &w, NULL) == 0 && pn_packed_add(w, "s", 1 << 20, NULL) &&
            write(ready[1], "r", 1) == 1)
            pause();
        _exit(1);
    }
    char byte;
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    char old[PN_FIXTURE_PATH + 300] = "";
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strstr(e->d_name, ".tmp"))
            snprintf(old, sizeof(old), "%s/%s", folder, e->d_name);
    closedir(d);
    assert_true(old[0] != 0);
    const struct timespec long_ago[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
    assert_int_equal(utimensat(AT_FDCWD, old, long_ago, 0), 0);
    write_file(&KEY);
    assert_int_equal(count_files(), 2); /* its writer lives */
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    write_file(&KEY);
    assert_int_equal(count_files(), 1);
}

static void test_path(void **state)
{
    char source[PN_FIXTURE_PATH + 32], got[2 * PN_FIXTURE_PATH], want[2 * PN_FIXTURE_PATH];
    snprintf(source, sizeof(source), "%s/a.pt", folder);
    assert_int_equal(pn_packed_path(source, "", "int8", got, sizeof(got)), -PN_ENOTFOUND);
    put_file(source, "x", 1);
    snprintf(want, sizeof(want), "%s/a.pt.int8.pnk", folder);
    assert_int_equal(pn_packed_path(source, "/nonexistent", "int8", got, sizeof(got)), 0);
    assert_string_equal(got, want);
    assert_int_equal(pn_packed_path(source, "", "int8", got, 10), -PN_ELIMIT);
    snprintf(source, sizeof(source), "%s/", folder); /* a folder's file lies beside it */
    snprintf(want, sizeof(want), "%s.f32.pnk", folder);
    assert_int_equal(pn_packed_path(source, "", "f32", got, sizeof(got)), 0);
    assert_string_equal(got, want);
}

/* Beside a source that lies where nothing can be written; root gives up its rights for it. */
static void test_path_in_cache(void **state)
{
    char source[PN_FIXTURE_PATH + 16], cache[PN_FIXTURE_PATH + 16], inner[PN_FIXTURE_PATH + 32],
        got[2 * PN_FIXTURE_PATH];
    snprintf(source, sizeof(source), "%s/a.pt", folder);
    snprintf(cache, sizeof(cache), "%s/c", folder);
    snprintf(inner, sizeof(inner), "%s/d/e", cache);
    put_file(source, "x", 1);
    assert_int_equal(mkdir(cache, 0777), 0);
    assert_int_equal(chmod(cache, 0777), 0);
    assert_int_equal(chmod(folder, 0555), 0);
    uid_t me = geteuid();
    if (me == 0) {
        assert_int_equal(seteuid(65534), 0);
    }
    int r[3] = { pn_packed_path(source, "", "int8", got, sizeof(got)),
                 pn_packed_path(source, folder, "int8", got, sizeof(got)),
                 pn_packed_path(source, inner, "int8", got, sizeof(got)) };
    assert_int_equal(rmdir(inner), 0); /* it was made, and nothing in it */
    *strrchr(inner, '/') = 0;
    assert_int_equal(rmdir(inner), 0);
    if (me == 0) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(rmdir(cache), 0);
    assert_int_equal(r[0], -PN_ENOTFOUND);
    assert_int_equal(r[1], -PN_ENOTFOUND);
    assert_int_equal(r[2], 0);
    size_t n = strlen(cache) + strlen("/d/e/a.pt-");
    assert_int_equal(strncmp(got, cache, strlen(cache)), 0);
    assert_int_equal(strncmp(got + strlen(cache), "/d/e/a.pt-", 10), 0);
    assert_int_equal(strspn(got + n, "0123456789abcdef"), 16);
    assert_string_equal(got + n + 16, ".int8.pnk");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stale, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_misuse, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_writers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_killed_writer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_path_in_cache, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
