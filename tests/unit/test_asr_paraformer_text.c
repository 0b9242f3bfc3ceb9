/* test_asr_paraformer_text.c - tokens to words, time stamps and hot words: the rules one by one, and every
 * result of the shared goldens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/paraformer/hotwords.h"
#include "asr/paraformer/stamps.h"
#include "fixtures.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 512 };

static struct pn_arena *new_arena(size_t limit)
{
    struct pn_arena *a = NULL;
    assert_int_equal(pn_arena_new(limit, &a), 0);
    return a;
}

static void assert_str(struct pn_str got, const char *want)
{
    if (!pn_str_is(got, want))
        fail_msg("'%.*s' is not '%s'", (int)got.len, got.ptr, want);
}

/* --- words --- */

/* Tokens and wants as one text each, blank-separated. */
static size_t split(const char *text, struct pn_str *tokens)
{
    size_t n = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        tokens[n++] = (struct pn_str){ text, len };
        text += len + (text[len] == ' ');
    }
    return n;
}

static void check_text(const char *tokens, const char *text, const char *spaced)
{
    struct pn_str token[MAX_TOKENS];
    size_t n = split(tokens, token);
    struct pn_arena *a = new_arena(1 << 20);
    struct pn_token_words w;
    assert_int_equal(pn_words_of_tokens(token, NULL, n, a, &w), 0);
    assert_str(w.text, text);
    assert_str(w.spaced, spaced);
    assert_true(w.n == 0 || !w.word[0].blank);
    pn_arena_free(a);
}

static void test_rules(void **state)
{
    check_text("", "", "");
    check_text("你 好", "你好", "你 好");
    check_text("play music", "play music", "play music");
    check_text("play mu@@ sic", "play music", "play music");
    check_text("he@@ llo 你 好", "hello你好", "hello 你 好");
    check_text("打 开 t v", "打开TV", "打 开 TV");
    check_text("打 开 t v 再 见", "打开TV再见", "打 开 TV 再 见");
    check_text("打 开 t 再 见", "打开t再见", "打 开 t 再 见");
    check_text("你 ok ok 好", "你ok ok好", "你 ok ok 好");
    check_text("u s b play t", "USB play t", "USB play t");
}

static void test_odd_tokens(void **state)
{
    check_text("<s> 你 <unk> 好 </s> <OOV>", "你好", "你 好");
    check_text("mu@@", "", "");                             /* unfinished: no word yet */
    check_text("mu@@ 你 sic", "你music", "你 music");       /* the piece waits for the next English word */
    check_text("ok mu@@ 你", "ok 你", "ok 你");             /* and leaves the blank of the word before */
    check_text("ok 3d 你", "ok 3d你", "ok 3d 你");          /* neither Chinese nor letters: as it is */
    check_text("5 6", "56", "5 6");                         /* digits count as Chinese */
    check_text("café 你", "café你", "café 你");             /* letters beyond ASCII */
    check_text("é è", "é è", "é è");                        /* but only ASCII letters abbreviate */
    check_text("\xff\xfe 你", "\xff\xfe你", "\xff\xfe 你"); /* bytes that are no text pass */
}

static void test_blank_tokens(void **state)
{
    const struct pn_str tokens[] = { PN_STR("你 "), PN_STR(" "), { NULL, 0 }, PN_STR("好") };
    struct pn_arena *a = new_arena(1 << 20);
    struct pn_token_words w;
    assert_int_equal(pn_words_of_tokens(tokens, NULL, PN_ARRAY_LEN(tokens), a, &w), 0);
    assert_str(w.text, "你好");
    assert_int_equal(w.n, 2);
    pn_arena_free(a);
}

static void check_stamps(const char *tokens, const struct pn_stamp *want, size_t n_want)
{
    struct pn_str token[MAX_TOKENS];
    struct pn_stamp stamp[MAX_TOKENS];
    size_t n = split(tokens, token);
    for (size_t i = 0; i < n; i++)
        stamp[i] = (struct pn_stamp){ (int64_t)i * 10, (int64_t)i * 10 + 8 };
    struct pn_arena *a = new_arena(1 << 20);
    struct pn_token_words w;
    assert_int_equal(pn_words_of_tokens(token, stamp, n, a, &w), 0);
    assert_int_equal(w.n, n_want);
    for (size_t i = 0; i < n_want; i++) {
        assert_int_equal(w.word[i].at.begin, want[i].begin);
        assert_int_equal(w.word[i].at.end, want[i].end);
    }
    pn_arena_free(a);
}

static void test_word_stamps(void **state)
{
    check_stamps("he@@ llo 你", (struct pn_stamp[]){ { 0, 18 }, { 20, 28 } }, 2);
    check_stamps("打 t v u 开", (struct pn_stamp[]){ { 0, 8 }, { 10, 38 }, { 40, 48 } }, 3);
    check_stamps("<unk> 打 开", (struct pn_stamp[]){ { 10, 18 }, { 20, 28 } }, 2); /* stays with its token */
    check_stamps("a@@ b@@ 你 好", (struct pn_stamp[]){ { 0, 18 }, { 30, 38 } }, 2);
    check_stamps("ok 3d 你", (struct pn_stamp[]){ { 0, 8 }, { 10, 18 }, { 20, 28 } }, 3);
}

static void test_word_limits(void **state)
{
    struct pn_str tokens[64];
    for (size_t i = 0; i < PN_ARRAY_LEN(tokens); i++)
        tokens[i] = PN_STR("hello");
    struct pn_token_words w = { .n = 77 };
    for (size_t limit = 256; limit < 16384; limit *= 2) {
        struct pn_arena *a = new_arena(limit);
        int r = pn_words_of_tokens(tokens, NULL, PN_ARRAY_LEN(tokens), a, &w);
        assert_true(r == 0 || (r == -PN_ENOMEM && w.n == 77));
        pn_arena_free(a);
    }
    assert_int_equal(w.n, 64);
    assert_int_equal(pn_words_of_tokens(tokens, NULL, (size_t)PN_WORD_TOKENS_MAX + 1, NULL, &w), -PN_ELIMIT);
}

/* --- the goldens --- */

typedef void check_fn(const char *folder, json_t *result);

/* Calls `check` for every result.json in the folders below `path`; returns how many. */
static int for_results(const char *path, check_fn *check)
{
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        char folder[PN_FIXTURE_PATH], file[PN_FIXTURE_PATH + 16];
        if (e->d_name[0] == '.' ||
            snprintf(folder, sizeof(folder), "%s/%s", path, e->d_name) >= PN_FIXTURE_PATH)
            continue;
        snprintf(file, sizeof(file), "%s/result.json", folder);
        json_error_t error;
        json_t *j = json_load_file(file, 0, &error);
        if (j) {
            check(folder, j);
            n++;
        } else {
            n += for_results(folder, check);
        }
        json_decref(j);
    }
    if (d)
        closedir(d);
    return n;
}

static size_t strings_of(json_t *array, struct pn_str *ret)
{
    size_t n = json_array_size(array);
    assert_true(n <= MAX_TOKENS);
    for (size_t i = 0; i < n; i++)
        ret[i] = pn_str(json_string_value(json_array_get(array, i)));
    return n;
}

static struct pn_token_words words_of(json_t *tokens, const struct pn_stamp *stamps, struct pn_arena *a)
{
    struct pn_str token[MAX_TOKENS];
    struct pn_token_words w;
    assert_int_equal(pn_words_of_tokens(token, stamps, strings_of(tokens, token), a, &w), 0);
    return w;
}

static void check_offline_text(const char *folder, json_t *result)
{
    struct pn_arena *a = new_arena(1 << 20);
    struct pn_token_words w = words_of(json_object_get(result, "tokens"), NULL, a);
    assert_str(w.spaced, json_string_value(json_object_get(result, "text")));
    assert_str(w.text, json_string_value(json_object_get(result, "text_no_timestamp")));
    pn_arena_free(a);
}

static void check_streaming_text(const char *folder, json_t *result)
{
    struct pn_arena *a = new_arena(1 << 20);
    json_t *texts = json_object_get(result, "text_per_call"), *chunks = json_object_get(result, "chunks");
    for (size_t i = 0; i < json_array_size(texts); i++) {
        struct pn_str got = { 0 };
        json_t *chunk, *tokens = json_array();
        size_t at;
        json_array_foreach(chunks, at, chunk)
        {
            if (json_integer_value(json_object_get(chunk, "call")) == (json_int_t)i)
                json_array_extend(tokens, json_object_get(chunk, "tokens"));
        }
        got = words_of(tokens, NULL, a).text;
        assert_str(got, json_string_value(json_array_get(texts, i)));
        json_decref(tokens);
    }
    json_t *whole = json_object_get(result, "one_call_text");
    assert_str(words_of(json_object_get(result, "tokens"), NULL, a).text, json_string_value(whole));
    pn_arena_free(a);
}

static bool close_to(json_t *pair, struct pn_stamp got)
{
    return llabs(json_integer_value(json_array_get(pair, 0)) - got.begin) <= 1 &&
           llabs(json_integer_value(json_array_get(pair, 1)) - got.end) <= 1;
}

static void load_npy(const char *folder, const char *name, struct pn_npy *ret)
{
    char path[PN_FIXTURE_PATH + 32];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_true(pn_npy_load(path, ret));
}

/* The stamps of the golden's tokens, and of its words. */
static void check_fires(const char *folder, json_t *result, const struct pn_fires *f, const char *per_token,
                        const char *per_word)
{
    struct pn_stamp stamp[MAX_TOKENS];
    json_t *tokens = json_object_get(result, "tokens"), *want = json_object_get(result, per_token);
    pn_paraformer_stamps(f, 0, json_array_size(tokens), stamp);
    for (size_t i = 0; want && i < json_array_size(tokens); i++)
        if (!close_to(json_array_get(want, i), stamp[i]))
            fail_msg("%s: token %zu: %lld-%lld", folder, i, (long long)stamp[i].begin,
                     (long long)stamp[i].end);
    struct pn_arena *a = new_arena(1 << 20);
    struct pn_token_words w = words_of(tokens, stamp, a);
    want = json_object_get(result, per_word);
    assert_int_equal(w.n, json_array_size(want));
    for (size_t i = 0; i < w.n; i++)
        assert_true(close_to(json_array_get(want, i), w.word[i].at));
    pn_arena_free(a);
}

static void check_plain_stamps(const char *folder, json_t *result)
{
    struct pn_npy alphas, peaks;
    load_npy(folder, "alphas.npy", &alphas);
    load_npy(folder, "cif_peak.npy", &peaks);
    assert_int_equal(alphas.n, peaks.n);
    struct pn_fires f = { alphas.f32, peaks.f32, alphas.n, 1 };
    check_fires(folder, result, &f, "timestamp_sane_token", "timestamp_sane");
    pn_npy_done(&alphas);
    pn_npy_done(&peaks);
}

static void check_head_stamps(const char *folder, json_t *result)
{
    struct pn_npy alphas, peaks;
    load_npy(folder, "us_alphas.npy", &alphas);
    load_npy(folder, "us_peaks.npy", &peaks);
    struct pn_fires f = { alphas.f32, peaks.f32, alphas.n, 3 };
    check_fires(folder, result, &f, "", "timestamp");
    float *again = malloc((alphas.n + 1) * sizeof(*again));
    assert_non_null(again);
    pn_paraformer_peaks(alphas.f32, alphas.n, again);
    for (size_t i = 0; i < alphas.n; i++)
        assert_true(fabsf(again[i] - peaks.f32[i]) < 1e-5F);
    free(again);
    pn_npy_done(&alphas);
    pn_npy_done(&peaks);
}

static void check_hotword_text(const char *folder, json_t *result)
{
    check_offline_text(folder, result);
    check_head_stamps(folder, result);
}

static void test_goldens(void **state)
{
    static const struct {
        const char *folder;
        int n;
        check_fn *check;
    } CASES[] = {
        { "paraformer/golden/micro-offline", 16, check_offline_text },
        { "paraformer/golden/rand-offline", 5, check_offline_text },
        { "paraformer/golden/micro-offline", 16, check_plain_stamps },
        { "paraformer/golden/rand-offline", 5, check_plain_stamps },
        { "paraformer/golden/rand-seaco", 3, check_hotword_text },
        { "paraformer/golden/micro-streaming", 29, check_streaming_text },
        { "paraformer/golden/rand-streaming", 17, check_streaming_text },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        char path[PN_FIXTURE_PATH];
        PN_SHARED_OR_SKIP(CASES[i].folder, path);
        assert_int_equal(for_results(path, CASES[i].check), CASES[i].n);
    }
}

/* --- time stamps --- */

static void check_times(const struct pn_fires *f, int64_t offset_ms, size_t n, const struct pn_stamp *want)
{
    struct pn_stamp got[8];
    pn_paraformer_stamps(f, offset_ms, n, got);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got[i].begin, want[i].begin);
        assert_int_equal(got[i].end, want[i].end);
    }
}

/* Weights of 0 but for 1 at the steps where fires are. */
static void fill_fires(float *alphas, size_t n, const size_t *at, size_t n_at)
{
    memset(alphas, 0, n * sizeof(*alphas));
    for (size_t i = 0; i < n_at; i++)
        alphas[at[i]] = 1;
}

static void test_stamp_rules(void **state)
{
    float alphas[60];
    struct pn_fires f = { alphas, alphas, 60, 1 };
    fill_fires(alphas, 60, (size_t[]){ 10, 15, 40 }, 3);
    /* Fires at 8.5, 13.5, 38.5; the second token is cut after 12 steps, what follows is silence to the end.
     */
    check_times(&f, 0, 2, (struct pn_stamp[]){ { 510, 809 }, { 809, 1530 } });
    check_times(&f, 1000, 2, (struct pn_stamp[]){ { 1510, 1810 }, { 1810, 2530 } });
    /* One fire too many for one token: the same weights scaled to a sum of 2. */
    check_times(&f, 0, 1, (struct pn_stamp[]){ { 809, 1530 } });
    /* The last token lasts half way to the end when that is far, else to the end. */
    fill_fires(alphas, 60, (size_t[]){ 30, 36 }, 2);
    check_times(&f, 0, 1, (struct pn_stamp[]){ { 1710, 2835 } });
    fill_fires(alphas, 60, (size_t[]){ 50, 58 }, 2);
    check_times(&f, 0, 1, (struct pn_stamp[]){ { 2909, 3599 } });
    check_times(&f, 0, 0, NULL);
}

static void test_stamps_that_do_not_fit(void **state)
{
    float zeros[4] = { 0 }, nans[4] = { NAN, NAN, NAN, NAN }, negative[4] = { -1, -1, 0, 0 };
    float *cases[] = { zeros, nans, negative };
    for (size_t c = 0; c < PN_ARRAY_LEN(cases); c++) {
        struct pn_stamp got[3];
        pn_paraformer_stamps(&(struct pn_fires){ cases[c], cases[c], 4, 1 }, 500, 3, got);
        for (size_t i = 0; i < 3; i++)
            assert_true(got[i].begin == 740 && got[i].end == 740);
    }
    /* A fire in the first step is not before the beginning. */
    float early[4] = { 1, 1, 0, 0 };
    check_times(&(struct pn_fires){ early, early, 4, 1 }, 0, 1, (struct pn_stamp[]){ { 0, 240 } });
}

/* --- hot words --- */

static struct pn_hotwords parse(const char *text, struct pn_arena *a)
{
    struct pn_hotwords w;
    struct pn_err err = { 0 };
    assert_int_equal(pn_hotwords_parse(pn_str(text), a, &w, &err), 0);
    assert_int_equal(err.code, 0);
    return w;
}

static void check_hotwords(const char *text, size_t n, const struct pn_hotword *want)
{
    struct pn_arena *a = new_arena(1 << 20);
    struct pn_hotwords w = parse(text, a);
    assert_int_equal(w.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_true(pn_str_eq(w.word[i].text, want[i].text));
        assert_true(w.word[i].weight == want[i].weight);
    }
    pn_arena_free(a);
}

#define WORDS(...)                                                              \
    PN_ARRAY_LEN(((struct pn_hotword[]){ __VA_ARGS__ })), (struct pn_hotword[]) \
    {                                                                           \
        __VA_ARGS__                                                             \
    }

static void test_hotword_forms(void **state)
{
    check_hotwords("", 0, NULL);
    check_hotwords(" \t\n,,", 0, NULL);
    check_hotwords("{}", 0, NULL);
    check_hotwords("{\"阿里巴巴\":20,\"new york\":3.5}",
                   WORDS({ PN_STR("阿里巴巴"), 20 }, { PN_STR("new york"), 3.5 }));
    check_hotwords("{\"a\":\"x\",\"b\":0,\"c\":-1}", WORDS({ PN_STR("a"), 1 }));
    check_hotwords("打开:20 空调", WORDS({ PN_STR("打开"), 20 }, { PN_STR("空调"), 1 }));
    check_hotwords("打开，空调、b;c\u3000d,e",
                   WORDS({ PN_STR("打开"), 1 }, { PN_STR("空调"), 1 }, { PN_STR("b"), 1 }, { PN_STR("c"), 1 },
                         { PN_STR("d"), 1 }, { PN_STR("e"), 1 }));
    check_hotwords("a:0 b:-3 c:x d: :7 e:1e2",
                   WORDS({ PN_STR("c:x"), 1 }, { PN_STR("d:"), 1 }, { PN_STR("e"), 100 }));
    check_hotwords("{\"a\":", WORDS({ PN_STR("{\"a\":"), 1 })); /* no JSON: a list */
}

static void check_limit(const char *text, size_t len)
{
    struct pn_arena *a = new_arena(1 << 20);
    struct pn_hotwords w;
    struct pn_err err = { 0 };
    assert_int_equal(pn_hotwords_parse((struct pn_str){ text, len }, a, &w, &err), -PN_ELIMIT);
    assert_true(err.text[0] != 0);
    pn_arena_free(a);
}

static void test_hotword_limits(void **state)
{
    size_t size = PN_HOTWORDS_TEXT_MAX + 1;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'a', size);
    check_limit(text, size);
    check_limit(text, PN_HOTWORD_BYTES_MAX + 1);
    for (size_t i = 1; i < size; i += 2)
        text[i] = ',';
    check_limit(text, 2 * PN_HOTWORDS_MAX + 1);
    free(text);
    struct pn_arena *a = new_arena(1 << 10);
    struct pn_hotwords w;
    assert_int_equal(pn_hotwords_parse(PN_STR("a"), a, &w, NULL), -PN_ENOMEM);
    pn_arena_free(a);
}

static const char *const TOKENS[] = { "<s>", "打", "开", "o@@", "pen", "3", "<unk>" };

static struct pn_str pieces_of(const void *ctx, struct pn_str word)
{
    if (pn_str_is(word, "open"))
        return PN_STR("o@@ pen");
    return pn_str_is(word, "打") || pn_str_is(word, "开") || pn_str_is(word, "3") ? word
                                                                                  : (struct pn_str){ 0 };
}

static int64_t id_of(const void *ctx, struct pn_str piece)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(TOKENS); i++)
        if (pn_str_is(piece, TOKENS[i]))
            return (int64_t)i;
    return -1;
}

static const struct pn_hotword_vocabulary VOCABULARY = { NULL, pieces_of, id_of, 6 };

static void check_ids(const char *word, int n, const int32_t *want)
{
    int32_t ids[PN_HOTWORD_IDS_MAX];
    assert_int_equal(pn_hotword_ids(&VOCABULARY, pn_str(word), ids, PN_ARRAY_LEN(ids)), n);
    for (int i = 0; i < n; i++)
        assert_int_equal(ids[i], want[i]);
}

static void test_hotword_ids(void **state)
{
    check_ids("打开", 2, (int32_t[]){ 1, 2 });
    check_ids("Open", 2, (int32_t[]){ 3, 4 });
    check_ids(" open  打 ", 3, (int32_t[]){ 3, 4, 1 });
    check_ids("打窗3", 3, (int32_t[]){ 1, 6, 5 });
    check_ids("打open开xy", 5, (int32_t[]){ 1, 3, 4, 2, 6 });
    check_ids("xyz", 0, NULL);
    check_ids("窗户", 0, NULL);
    check_ids("", 0, NULL);
    int32_t one;
    assert_int_equal(pn_hotword_ids(&VOCABULARY, pn_str("打开"), &one, 1), -PN_ELIMIT);
}

/* A model's own seg_dict and tokens.json, read in the plainest way. */
struct model_files {
    struct pn_buf seg_dict;
    json_t *tokens;
};

static struct pn_str model_pieces(const void *ctx, struct pn_str word)
{
    const struct model_files *m = ctx;
    for (const char *line = m->seg_dict.ptr; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t len = strcspn(line, "\n"), key = strcspn(line, " ");
        if (pn_str_eq((struct pn_str){ line, key }, word))
            return (struct pn_str){ line + key + 1, len - key - 1 };
    }
    return (struct pn_str){ 0 };
}

static int64_t model_id(const void *ctx, struct pn_str piece)
{
    const struct model_files *m = ctx;
    for (size_t i = 0; i < json_array_size(m->tokens); i++)
        if (pn_str_is(piece, json_string_value(json_array_get(m->tokens, i))))
            return (int64_t)i;
    return -1;
}

static void test_golden_hotwords(void **state)
{
    char path[PN_FIXTURE_PATH];
    struct model_files m;
    PN_SHARED_OR_SKIP("paraformer/models/rand-seaco/tokens.json", path);
    m.tokens = json_load_file(path, 0, NULL);
    PN_SHARED_OR_SKIP("paraformer/models/rand-seaco/seg_dict", path);
    assert_true(m.tokens && pn_fixture_read(path, &m.seg_dict));
    PN_SHARED_OR_SKIP("paraformer/golden/rand-seaco/d02/result.json", path);
    json_t *result = json_load_file(path, 0, NULL), *golden = json_object_get(result, "hotword");
    struct pn_arena *a = new_arena(1 << 20);
    struct pn_hotwords w = parse(json_string_value(json_object_get(golden, "hotword")), a);
    json_t *want = json_object_get(golden, "ids");
    struct pn_hotword_vocabulary v = { &m, model_pieces, model_id, (int32_t)json_array_size(m.tokens) - 1 };
    assert_int_equal(w.n + 1, json_array_size(want)); /* the last is the pseudo word <s> */
    for (size_t i = 0; i < w.n; i++) {
        int32_t ids[PN_HOTWORD_IDS_MAX];
        int n = pn_hotword_ids(&v, w.word[i].text, ids, PN_ARRAY_LEN(ids));
        assert_int_equal(n, json_array_size(json_array_get(want, i)));
        for (int k = 0; k < n; k++)
            assert_int_equal(ids[k], json_integer_value(json_array_get(json_array_get(want, i), (size_t)k)));
    }
    pn_arena_free(a);
    json_decref(result);
    json_decref(m.tokens);
    pn_buf_done(&m.seg_dict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),         cmocka_unit_test(test_odd_tokens),
        cmocka_unit_test(test_blank_tokens),  cmocka_unit_test(test_word_stamps),
        cmocka_unit_test(test_word_limits),   cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_stamp_rules),   cmocka_unit_test(test_stamps_that_do_not_fit),
        cmocka_unit_test(test_hotword_forms), cmocka_unit_test(test_hotword_limits),
        cmocka_unit_test(test_hotword_ids),   cmocka_unit_test(test_golden_hotwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
