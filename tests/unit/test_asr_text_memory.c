/* test_asr_text_memory.c - words, hot words and punctuation without memory: each allocation fails in turn,
 * until there is none left to fail. What comes is the error that says so, nothing half-built, and no leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/paraformer/hotwords.h"
#include "asr/paraformer/words.h"
#include "asr/punctuation/punctuation.h"
#include "failing_memory.h"
#include "fixtures.h"

#include <jansson.h>
#include <stdlib.h>

/* Calls `step` with the first, second, third ... allocation failing, until it returns 0; any other failure
 * than of memory fails the test. Returns how many failed. */
static int for_each_failure(int (*step)(void *ctx), void *ctx)
{
    for (int n = 0;; n++) {
        pn_fail_allocation = n;
        int r = step(ctx);
        bool all = pn_fail_allocation >= 0;
        pn_fail_allocation = -1;
        if (r == 0 && all)
            return n;
        assert_true(r == -PN_ENOMEM || r == 0); /* 0: it did without */
    }
}

static int join_words(void *ctx)
{
    const struct pn_str tokens[] = { PN_STR("he@@"), PN_STR("llo"), PN_STR("你") };
    struct pn_arena *a = NULL;
    struct pn_token_words w = { .n = 77 };
    int r = pn_arena_new(1 << 20, &a);
    if (r == 0)
        r = pn_words_of_tokens(tokens, NULL, PN_ARRAY_LEN(tokens), a, &w);
    assert_int_equal(w.n, r == 0 ? 2 : 77);
    pn_arena_free(a);
    return r;
}

static int parse_hotwords(void *ctx)
{
    struct pn_arena *a = NULL;
    struct pn_hotwords w = { .n = 77 };
    int r = pn_arena_new(1 << 20, &a);
    if (r == 0)
        r = pn_hotwords_parse(PN_STR("{\"你好\":20,\"hello\":1}"), a, &w, NULL);
    assert_int_equal(w.n, r == 0 ? 2 : 77);
    pn_arena_free(a);
    return r;
}

static void test_words(void **state)
{
    assert_true(for_each_failure(join_words, NULL) > 0);
    json_set_alloc_funcs(__wrap_malloc, free); /* jansson's own allocations fail as well */
    assert_true(for_each_failure(parse_hotwords, NULL) > 2);
    json_set_alloc_funcs(malloc, free);
}

static int open_model(void *ctx)
{
    const struct pn_punctuation_options opt = { .path = ctx, .precision = PN_F32, .no_packed_file = true };
    struct pn_punctuation *p = NULL;
    struct pn_err err = { 0 };
    int r = pn_punctuation_open(&opt, &p, &err);
    assert_true((r == 0) == (p != NULL) && (r == 0 || err.text[0]));
    pn_punctuation_close(p);
    return r;
}

static int punctuate(void *ctx)
{
    struct pn_buf out, marks;
    pn_buf_init(&out, 1 << 20);
    pn_buf_init(&marks, 1 << 20);
    int r = pn_punctuate(ctx, PN_STR("今天天气怎么样今天天气怎么样今天天气怎么样今天天气"), &out, &marks);
    assert_true(r == 0 ? marks.len == 25 && out.len > 75 : out.len == 0 && marks.len == 0);
    pn_buf_done(&out);
    pn_buf_done(&marks);
    return r;
}

static int add_sentences(void *ctx)
{
    struct pn_punctuator *u = NULL;
    struct pn_buf out;
    pn_buf_init(&out, 1 << 20);
    int r = pn_punctuator_new(ctx, &u);
    for (int i = 0; i < 2 && r == 0; i++)
        r = pn_punctuator_add(u, PN_STR("今天天气怎么样"), &out);
    pn_buf_done(&out);
    pn_punctuator_free(u);
    return r;
}

static void test_punctuation(void **state)
{
    char path[PN_FIXTURE_PATH];
    PN_SHARED_OR_SKIP("paraformer/models/rand-punc", path);
    const struct pn_punctuation_options opt = { .path = path, .precision = PN_F32, .no_packed_file = true };
    struct pn_punctuation *p = NULL;
    assert_true(for_each_failure(open_model, path) > 20);
    assert_int_equal(pn_punctuation_open(&opt, &p, NULL), 0);
    assert_true(for_each_failure(punctuate, p) > 5);
    assert_true(for_each_failure(add_sentences, p) > 10);
    pn_punctuation_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_words), cmocka_unit_test(test_punctuation) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
