/* test_asr_vocab.c - Whisper's special tokens, decoding, prompts and word splitting against the reference's
 * lists; the non-speech tables against the rule that they follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/whisper/vocab.h"
#include "fixtures.h"
#include "text/language.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *ranks, *decode, *special;
    int n_vocab;
} SHAPES[] = {
    { "gpt2.tiktoken", "gpt2.decode.json", "english-51864", 51864 },
    { "multilingual.tiktoken", "multilingual.decode.json", "multilingual-51865", 51865 },
    { "multilingual.tiktoken", "multilingual.decode.json", "multilingual-51866", 51866 },
};

static bool shared(const char *name, char path[PN_FIXTURE_PATH])
{
    char file[128];
    snprintf(file, sizeof(file), "whisper/tokenizer/%s", name);
    return pn_fixture_shared(file, path);
}

/* The full vocabulary of shape `i`; NULL when the rank file is missing. */
static struct pn_vocab *open_vocab(size_t i)
{
    char path[PN_FIXTURE_PATH];
    struct pn_buf b;
    struct pn_bpe *bpe = NULL;
    struct pn_vocab *v = NULL;
    if (!shared(SHAPES[i].ranks, path))
        return NULL;
    assert_true(pn_fixture_read(path, &b));
    assert_int_equal(pn_bpe_parse((struct pn_str){ b.ptr, b.len }, &bpe, NULL), 0);
    pn_buf_done(&b);
    assert_int_equal(pn_vocab_new(bpe, SHAPES[i].n_vocab, &v, NULL), 0);
    return v;
}

static json_t *open_json(const char *name)
{
    char path[PN_FIXTURE_PATH];
    json_error_t error;
    assert_true(shared(name, path));
    json_t *j = json_load_file(path, JSON_ALLOW_NUL, &error);
    assert_non_null(j);
    return j;
}

#define VOCAB_OR_SKIP(v, i)                                                   \
    do {                                                                      \
        v = open_vocab(i);                                                    \
        if (!v) {                                                             \
            print_message("skipped: no whisper/tokenizer in PINNA_SHARED\n"); \
            skip();                                                           \
        }                                                                     \
    } while (0)

static size_t read_ids(const json_t *list, int32_t ids[512])
{
    size_t n = json_array_size(list);
    assert_true(n <= 512);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return n;
}

static struct pn_vocab *bare(int n_vocab)
{
    const struct pn_str a = PN_STR("a");
    struct pn_bpe *bpe = NULL;
    struct pn_vocab *v = NULL;
    assert_int_equal(pn_bpe_new(&a, 1, &bpe, NULL), 0);
    assert_int_equal(pn_vocab_new(bpe, n_vocab, &v, NULL), 0);
    return v;
}

/* The table of the specification. */
static void test_ids(void **state)
{
    static const int32_t WANT[][10] = {
        { 50256, 50257, 50258, 50357, 50358, 50359, 50360, 50361, 50362, 50363 },
        { 50257, 50258, 50259, 50358, 50359, 50360, 50361, 50362, 50363, 50364 },
        { 50257, 50258, 50259, 50359, 50360, 50361, 50362, 50363, 50364, 50365 },
    };
    for (int i = 0; i < 3; i++) {
        struct pn_vocab *v = bare(51864 + i);
        const int32_t got[] = {
            v->eot,       v->sot,         v->first_language, v->translate,    v->transcribe,
            v->startoflm, v->startofprev, v->nospeech,       v->notimestamps, v->timestamp_begin
        };
        assert_memory_equal(got, WANT[i], sizeof(got));
        assert_int_equal(v->n_languages, i == 2 ? 100 : 99);
        assert_int_equal(v->multilingual, i > 0);
        assert_int_equal(v->n_non_speech, i > 0 ? 82 : 84);
        assert_int_equal(pn_vocab_language(v, "yue"), i == 2 ? 50358 : -PN_EUNSUPPORTED);
        assert_int_equal(pn_vocab_language(v, "zh"), v->first_language + 1);
        assert_int_equal(pn_vocab_language(v, "xx"), -PN_EUNSUPPORTED);
        assert_string_equal(pn_vocab_language_code(v, v->translate - 1), i == 2 ? "yue" : "su");
        assert_null(pn_vocab_language_code(v, v->translate));
        assert_null(pn_vocab_language_code(v, v->sot));
        pn_vocab_free(v);
    }
}

static void test_shapes(void **state)
{
    static const int WRONG[] = { -1, 0, 51863, 51867, 1 << 30 };
    for (size_t i = 0; i < PN_ARRAY_LEN(WRONG); i++) {
        const struct pn_str a = PN_STR("a");
        struct pn_bpe *bpe = NULL;
        struct pn_vocab *v = NULL;
        assert_int_equal(pn_bpe_new(&a, 1, &bpe, NULL), 0);
        assert_int_equal(pn_vocab_new(bpe, WRONG[i], &v, NULL), -PN_EUNSUPPORTED);
        assert_null(v);
    }
    assert_null(pn_vocab_free(NULL));
}

static void test_special_names(void **state)
{
    struct pn_vocab *v = bare(51865);
    const int32_t ids[] = { -5,
                            v->eot,
                            v->sot,
                            v->first_language,
                            v->translate - 1,
                            v->translate,
                            v->transcribe,
                            v->startoflm,
                            v->startofprev,
                            v->nospeech,
                            v->notimestamps,
                            v->timestamp_begin,
                            v->timestamp_begin + 54,
                            v->n_vocab - 1,
                            0,
                            40000 };
    struct pn_buf b;
    pn_buf_init(&b, 1024);
    pn_vocab_decode(v, ids, PN_ARRAY_LEN(ids), true, &b);
    assert_string_equal(
        b.ptr, "<|endoftext|><|startoftranscript|><|en|><|su|><|translate|><|transcribe|><|startoflm|>"
               "<|startofprev|><|nospeech|><|notimestamps|><|0.00|><|1.08|><|30.00|>a");
    pn_buf_clear(&b);
    pn_vocab_decode(v, ids + 10, 6, false, &b);
    assert_string_equal(b.ptr, "<|notimestamps|>a");
    pn_buf_done(&b);
    pn_vocab_free(v);
}

static void check_specials(const struct pn_vocab *v, const json_t *want)
{
    static const char *const NAMES[] = { "eot",        "sot",          "translate",
                                         "transcribe", "startoflm",    "startofprev",
                                         "nospeech",   "notimestamps", "timestamp_begin" };
    const int32_t got[] = { v->eot,         v->sot,      v->translate,    v->transcribe,     v->startoflm,
                            v->startofprev, v->nospeech, v->notimestamps, v->timestamp_begin };
    for (size_t i = 0; i < PN_ARRAY_LEN(NAMES); i++)
        assert_int_equal(got[i], json_integer_value(json_object_get(want, NAMES[i])));
    const char *code;
    json_t *id;
    json_object_foreach(json_object_get(want, "language_tokens"), code, id)
    {
        assert_int_equal(pn_vocab_language(v, code), json_integer_value(id));
        assert_string_equal(pn_vocab_language_code(v, (int32_t)json_integer_value(id)), code);
    }
    assert_int_equal(json_object_size(json_object_get(want, "language_tokens")), v->n_languages);
}

static void test_golden_specials(void **state)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(SHAPES); i++) {
        struct pn_vocab *v;
        VOCAB_OR_SKIP(v, i);
        json_t *all = open_json("special_tokens.json");
        check_specials(v, json_object_get(all, SHAPES[i].special));
        json_decref(all);
        pn_vocab_free(v);
    }
}

/* Ids marked by the rule of the specification (3.6). */
struct marks {
    const struct pn_vocab *v;
    bool id[51866];
};

/* `first`: the first token counts when there are several, too. */
static void mark(struct marks *m, const char *text, bool first)
{
    int32_t ids[16];
    int n = pn_bpe_encode(m->v->bpe, pn_str(text), ids, PN_ARRAY_LEN(ids));
    assert_true(n > 0);
    if (n == 1 || first)
        m->id[ids[0]] = true;
}

static void mark_both(struct marks *m, const char *text, bool first)
{
    char spaced[32];
    snprintf(spaced, sizeof(spaced), " %s", text);
    mark(m, text, first);
    mark(m, spaced, first);
}

static void mark_all(struct marks *m)
{
    static const char *const SYMBOLS[] = {
        "\"",
        "#",
        "(",
        ")",
        "*",
        "+",
        "/",
        ":",
        ";",
        "<",
        "=",
        ">",
        "@",
        "[",
        "\\",
        "]",
        "^",
        "_",
        "`",
        "{",
        "|",
        "}",
        "~",
        "\u300c",
        "\u300d",
        "\u300e",
        "\u300f",
        "<<",
        ">>",
        "<<<",
        ">>>",
        "--",
        "---",
        "-(",
        "-[",
        "('",
        "(\"",
        "((",
        "))",
        "(((",
        ")))",
        "[[",
        "]]",
        "{{",
        "}}",
        "\u266a\u266a",
        "\u266a\u266a\u266a",
    };
    static const char *const MUSIC[] = {
        "\u2669", "\u266a", "\u266b", "\u266c", "\u266d", "\u266e", "\u266f"
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(SYMBOLS); i++)
        mark_both(m, SYMBOLS[i], false);
    for (size_t i = 0; i < PN_ARRAY_LEN(MUSIC); i++)
        mark_both(m, MUSIC[i], true);
    mark(m, " -", true);
    mark(m, " '", true);
}

static void test_non_speech(void **state)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(SHAPES); i++) {
        static struct marks m;
        struct pn_vocab *v;
        size_t n = 0;
        VOCAB_OR_SKIP(v, i);
        m = (struct marks){ .v = v };
        mark_all(&m);
        for (int32_t id = 0; id < 51866; id++)
            if (m.id[id]) {
                assert_true(n < v->n_non_speech);
                assert_int_equal(v->non_speech[n++], id);
            }
        assert_int_equal(n, v->n_non_speech);
        pn_vocab_free(v);
    }
}

static void check_decoding(const struct pn_vocab *v, const json_t *want, bool timestamps, const char *key)
{
    int32_t ids[512];
    struct pn_buf b;
    const json_t *text = json_object_get(want, key);
    if (!text)
        return;
    size_t n = read_ids(json_object_get(want, "ids"), ids);
    pn_buf_init(&b, 1 << 16);
    pn_vocab_decode(v, ids, n, timestamps, &b);
    assert_int_equal(b.len, json_string_length(text));
    if (b.len > 0)
        assert_memory_equal(b.ptr, json_string_value(text), b.len);
    pn_buf_done(&b);
}

static void test_golden_decoding(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        struct pn_vocab *v;
        json_t *item;
        size_t k;
        VOCAB_OR_SKIP(v, i);
        json_t *list = open_json(SHAPES[i].decode);
        assert_true(json_array_size(list) > 200);
        json_array_foreach(list, k, item)
        {
            check_decoding(v, item, false, "text");
            check_decoding(v, item, true, "text_with_timestamps");
        }
        json_decref(list);
        pn_vocab_free(v);
    }
}

static void check_split(const struct pn_vocab *v, const json_t *want)
{
    int32_t ids[512];
    struct pn_arena *arena = NULL;
    struct pn_word_split got;
    const json_t *language = json_object_get(want, "language"), *words = json_object_get(want, "words");
    const json_t *tokens = json_object_get(want, "word_tokens");
    /* Chinese words are the groups before joining. */
    const char *code = json_object_get(want, "fn") ? "zh"
                       : json_is_string(language)  ? json_string_value(language)
                                                   : "";
    size_t n = read_ids(json_object_get(want, "ids"), ids);
    assert_int_equal(pn_arena_new(1 << 20, &arena), 0);
    assert_int_equal(pn_vocab_split(v, code, ids, n, arena, &got), 0);
    assert_int_equal(got.n, json_array_size(words));
    for (size_t w = 0; w < got.n; w++) {
        int32_t part[512];
        size_t len = read_ids(json_array_get(tokens, w), part);
        assert_string_equal(got.text[w], json_string_value(json_array_get(words, w)));
        assert_int_equal(got.start[w + 1] - got.start[w], len);
        assert_memory_equal(ids + got.start[w], part, len * sizeof(*part));
    }
    pn_arena_free(arena);
}

static void test_golden_split(void **state)
{
    struct pn_vocab *v;
    json_t *item;
    size_t i;
    VOCAB_OR_SKIP(v, 1);
    json_t *list = open_json("split_words.json");
    assert_true(json_array_size(list) > 20);
    json_array_foreach(list, i, item) check_split(v, item);
    json_decref(list);
    pn_vocab_free(v);
}

/* Nothing typed by a user becomes a control token, and the ends are trimmed. */
static void test_prompt(void **state)
{
    struct pn_vocab *v;
    int32_t ids[64], plain[64];
    VOCAB_OR_SKIP(v, 1);
    int n = pn_vocab_encode_prompt(v, PN_STR("\u3000 one two <|endoftext|>\n"), ids, PN_ARRAY_LEN(ids));
    assert_int_equal(pn_bpe_encode(v->bpe, PN_STR(" one two <|endoftext|>"), plain, PN_ARRAY_LEN(plain)), n);
    assert_memory_equal(ids, plain, (size_t)n * sizeof(*ids));
    for (int i = 0; i < n; i++)
        assert_true(ids[i] < v->eot);
    assert_int_equal(pn_vocab_encode_prompt(v, PN_STR(" "), ids, PN_ARRAY_LEN(ids)), 1);
    assert_int_equal(ids[0], 220);
    pn_vocab_free(v);
}

static void test_split_memory(void **state)
{
    struct pn_vocab *v = bare(51865);
    struct pn_arena *arena = NULL;
    struct pn_word_split got = { 0 };
    int32_t ids[400] = { 0 };
    assert_int_equal(pn_arena_new(64, &arena), 0);
    assert_int_equal(pn_vocab_split(v, "en", ids, PN_ARRAY_LEN(ids), arena, &got), -PN_ENOMEM);
    pn_arena_free(arena);
    assert_int_equal(pn_arena_new(1 << 20, &arena), 0);
    assert_int_equal(pn_vocab_split(v, "en", ids, 0, arena, &got), 0);
    assert_int_equal(got.n, 0);
    pn_arena_free(arena);
    pn_vocab_free(v);
}

static struct pn_vocab *open_subset(void)
{
    char path[PN_FIXTURE_PATH];
    struct pn_buf b;
    struct pn_bpe *bpe = NULL;
    struct pn_vocab *v = NULL;
    assert_true(pn_fixture_data("micro.tiktoken", path));
    assert_true(pn_fixture_read(path, &b));
    assert_int_equal(pn_bpe_parse((struct pn_str){ b.ptr, b.len }, &bpe, NULL), 0);
    pn_buf_done(&b);
    assert_int_equal(pn_vocab_new(bpe, 51865, &v, NULL), 0);
    return v;
}

static void assert_same_ids(const struct pn_vocab *a, const struct pn_vocab *b, struct pn_str text)
{
    int32_t x[512], y[512];
    int n = pn_bpe_encode(a->bpe, text, x, PN_ARRAY_LEN(x));
    assert_in_range(n, 0, PN_ARRAY_LEN(x));
    assert_int_equal(pn_bpe_encode(b->bpe, text, y, PN_ARRAY_LEN(y)), n);
    assert_memory_equal(x, y, (size_t)n * sizeof(*x));
}

/* The subset's text of a segment's tokens is the golden text, and with `full` gives the same ids. */
static void check_segment(const struct pn_vocab *subset, const struct pn_vocab *full, const json_t *segment)
{
    int32_t ids[512];
    struct pn_buf b;
    const char *text = json_string_value(json_object_get(segment, "text"));
    size_t n = read_ids(json_object_get(segment, "tokens"), ids), kept = 0;
    for (size_t i = 0; i < n; i++)
        if (ids[i] < subset->eot)
            ids[kept++] = ids[i];
    pn_buf_init(&b, 1 << 16);
    pn_vocab_decode(subset, ids, kept, false, &b);
    assert_string_equal(b.len ? b.ptr : "", text);
    pn_buf_done(&b);
    if (full)
        assert_same_ids(subset, full, pn_str(text));
}

static size_t check_golden(const struct pn_vocab *subset, const struct pn_vocab *full, const char *path)
{
    json_error_t error;
    json_t *golden = json_load_file(path, 0, &error), *run, *segment;
    size_t i, n = 0;
    const char *name;
    assert_non_null(golden);
    json_object_foreach(json_object_get(golden, "runs"), name, run)
    {
        json_array_foreach(json_object_get(json_object_get(run, "result"), "segments"), i, segment)
        {
            check_segment(subset, full, segment);
            n++;
        }
    }
    json_decref(golden);
    return n;
}

/* tests/data's vocabulary has what its goldens need. */
static void test_subset(void **state)
{
    static const char *const NAMES[] = { "golden/01.json", "golden/05.json", "golden/09.json" };
    static const int32_t PROMPT[] = { 472, 732, 1045, 1451, 13 };
    struct pn_vocab *v = open_subset();
    int32_t ids[8];
    for (size_t i = 0; i < PN_ARRAY_LEN(NAMES); i++) {
        char path[PN_FIXTURE_PATH];
        assert_true(pn_fixture_data(NAMES[i], path));
        assert_true(check_golden(v, NULL, path) > 10);
    }
    assert_int_equal(pn_vocab_encode_prompt(v, PN_STR("one two three four."), ids, PN_ARRAY_LEN(ids)),
                     PN_ARRAY_LEN(PROMPT));
    assert_memory_equal(ids, PROMPT, sizeof(PROMPT));
    pn_vocab_free(v);
}

static void test_subset_is_like_the_whole(void **state)
{
    static const char *const TEXTS[] = {
        " one two three four.", "one",      " one",
        "一二三四五六七八九零", "打开灯。", " Turn on the light. Thank you. Hello, world!"
    };
    static const char *const NAMES[] = { "01", "02", "03", "04",     "05",
                                         "06", "07", "09", "long70", "long65sparse" };
    struct pn_vocab *full;
    VOCAB_OR_SKIP(full, 1);
    struct pn_vocab *subset = open_subset();
    for (size_t i = 0; i < PN_ARRAY_LEN(TEXTS); i++)
        assert_same_ids(subset, full, pn_str(TEXTS[i]));
    for (size_t i = 0; i < PN_ARRAY_LEN(NAMES); i++) {
        char path[PN_FIXTURE_PATH], name[64];
        snprintf(name, sizeof(name), "whisper/micro/golden/%s.json", NAMES[i]);
        PN_SHARED_OR_SKIP(name, path);
        check_golden(subset, full, path);
    }
    pn_vocab_free(subset);
    pn_vocab_free(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_special_names),
        cmocka_unit_test(test_golden_specials),
        cmocka_unit_test(test_non_speech),
        cmocka_unit_test(test_golden_decoding),
        cmocka_unit_test(test_golden_split),
        cmocka_unit_test(test_prompt),
        cmocka_unit_test(test_split_memory),
        cmocka_unit_test(test_subset),
        cmocka_unit_test(test_subset_is_like_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
