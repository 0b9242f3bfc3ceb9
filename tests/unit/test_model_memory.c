/* test_model_memory.c - readers and the packed file without memory: each allocation fails in turn, until
 * there is none left to fail. What comes is the error that says so, nothing half-built and no leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "failing_memory.h"
#include "fixtures.h"
#include "model/funasr.h"
#include "model/packed.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy_part(const char *seed, size_t from, const char *to)
{
    char name[200], path[PN_FIXTURE_PATH];
    struct pn_buf b;
    snprintf(name, sizeof(name), "../fuzz/corpus/%s", seed);
    assert_true(pn_fixture_data(name, path) && pn_fixture_read(path, &b));
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b.ptr + from, 1, b.len - from, f), b.len - from);
    fclose(f);
    pn_buf_done(&b);
}

static void copy_seed(const char *seed, const char *to)
{
    copy_part(seed, 0, to);
}

/* Returns how many allocations an opening takes. */
static long open_with_failures(const char *path)
{
    for (long n = 0;; n++) {
        struct pn_checkpoint *c = NULL;
        struct pn_err err = { 0 };
        pn_fail_allocation = n;
        int r = pn_checkpoint_open(path, &c, &err);
        bool used = pn_fail_allocation < 0;
        pn_fail_allocation = -1;
        /* jansson's lexer takes a text that it has no memory for as a wrong one. */
        if (r < 0 && r != -PN_ENOMEM && !(r == -PN_EFORMAT && strstr(err.text, "near '\"")))
            fail_msg("allocation %ld of %s: %s", n, path, err.text);
        assert_int_equal(err.code, -r);
        assert_true(r == 0 || !c);
        pn_checkpoint_close(c);
        if (r == 0 && !used)
            return n;
        assert_true(n < 10000);
    }
}

static void test_checkpoints(void **state)
{
    static const char *const SEEDS[][2] = {
        { "torch/two.pt", "two.pt" },
        { "torch/shared.pt", "shared.pt" },
        { "ggml/f16.bin", "f16.bin" },
    };
    char folder[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH + 64];
    assert_true(pn_fixture_temp_dir(folder));
    for (size_t i = 0; i < PN_ARRAY_LEN(SEEDS); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, SEEDS[i][1]);
        copy_seed(SEEDS[i][0], path);
        assert_true(open_with_failures(path) >= 5);
    }
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    copy_seed("safetensors/two.safetensors", path);
    snprintf(path, sizeof(path), "%s/vocab.json", folder);
    copy_seed("safetensors/vocab.json", path);
    snprintf(path, sizeof(path), "%s/config.json", folder);
    copy_seed("safetensors/vocab.json", path); /* numbers by name, too */
    assert_true(open_with_failures(folder) >= 20);
    pn_fixture_remove_dir(folder);
}

static int open_funasr(const char *folder, struct pn_err *err)
{
    struct pn_funasr *m = NULL;
    int r = pn_funasr_open(folder, &m, err);
    assert_true(r == 0 || !m);
    pn_funasr_close(m);
    return r;
}

static void test_funasr(void **state)
{
    static const struct {
        const char *seed, *name;
        size_t from; /* behind the fuzzer's letter */
    } FILES[] = { { "config_tree/full.yaml", "config.yaml", 0 },
                  { "torch/transposed.pt", "model.pt", 0 },
                  { "cmvn/four", "am.mvn", 0 },
                  { "tokens/json", "tokens.json", 1 },
                  { "tokens/seg_dict", "seg_dict", 1 } };
    char folder[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH + 64];
    assert_true(pn_fixture_temp_dir(folder));
    for (size_t i = 0; i < PN_ARRAY_LEN(FILES); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, FILES[i].name);
        copy_part(FILES[i].seed, FILES[i].from, path);
    }
    int r = -1;
    for (long n = 0, used = 1; r < 0 || used; n++) {
        struct pn_err err = { 0 };
        pn_fail_allocation = n;
        r = open_funasr(folder, &err);
        used = pn_fail_allocation < 0;
        pn_fail_allocation = -1;
        if (r < 0 && r != -PN_ENOMEM && !(r == -PN_EFORMAT && strstr(err.text, "near '\"")))
            fail_msg("allocation %ld: %s", n, err.text);
        assert_int_equal(err.code, -r);
    }
    pn_fixture_remove_dir(folder);
}

/* Writes and reads again; `path` NULL: in memory. */
static int pack(const char *path, struct pn_err *err)
{
    const struct pn_packed_key key = { .kind = "whisper", .precision = "int8" };
    struct pn_packed_writer *w = NULL;
    struct pn_packed *p = NULL;
    int r = pn_packed_writer_new(path, &key, &w, err);
    if (r < 0)
        return r;
    for (int i = 0; i < 300; i++) { /* more than the first list of sections holds */
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        if (!pn_packed_add(w, name, 100, err)) {
            pn_packed_writer_free(w);
            return -err->code;
        }
    }
    r = pn_packed_commit(w, &p, err);
    if (r == 0 && path) {
        p = pn_packed_close(p);
        r = pn_packed_open(path, &key, &p, err);
    }
    pn_packed_close(p);
    return r;
}

static void test_packed(void **state)
{
    char folder[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH + 64];
    assert_true(pn_fixture_temp_dir(folder));
    snprintf(path, sizeof(path), "%s/m.pnk", folder);
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        int r = -1;
        for (long n = 0, used = 1; r < 0 || used; n++) {
            struct pn_err err = { 0 };
            pn_fail_allocation = n;
            r = pack(in_memory ? NULL : path, &err);
            used = pn_fail_allocation < 0;
            pn_fail_allocation = -1;
            assert_true(r == 0 || r == -PN_ENOMEM);
            assert_int_equal(err.code, -r);
        }
    }
    pn_fixture_remove_dir(folder);
}

int main(void)
{
    json_set_alloc_funcs(__wrap_malloc, free); /* jansson's own allocations fail as well */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoints),
        cmocka_unit_test(test_funasr),
        cmocka_unit_test(test_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
