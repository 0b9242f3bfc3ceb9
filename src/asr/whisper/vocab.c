/* vocab.c - Whisper's special tokens, which follow the text tokens in one fixed order (spec whisper 3.4):
 * eot, sot, the languages, six task tokens, 1501 timestamps. So n_vocab alone tells where they are. */
#include "asr/whisper/vocab.h"

#include "text/language.h"
#include "text/utf8.h"

#include <inttypes.h>
#include <stdlib.h>

enum { N_TIMESTAMPS = 1501, N_TASK_TOKENS = 6 };

/* Tokens of music, brackets, quotes and dashes, which mark what is not speech (spec whisper 3.6, where the
 * rule that they follow is). Of the multilingual vocabularies: */
static const int32_t NON_SPEECH_MULTILINGUAL[] = {
    1,     2,     7,     8,     9,     10,    14,    25,    26,    27,    28,    29,    31,    58,
    59,    60,    61,    62,    63,    90,    91,    92,    93,    359,   503,   522,   542,   873,
    893,   902,   918,   922,   931,   1350,  1853,  1982,  2460,  2627,  3246,  3253,  3268,  3536,
    3846,  3961,  4183,  4667,  6585,  6647,  7273,  9061,  9383,  10428, 10929, 11938, 12033, 12331,
    12562, 13793, 14157, 14635, 15265, 15618, 16553, 16604, 18362, 18956, 20075, 21675, 22520, 26130,
    26161, 26435, 28279, 29464, 31650, 32302, 32470, 36865, 42863, 47425, 49870, 50254,
};

/* Of the English one: */
static const int32_t NON_SPEECH_ENGLISH[] = {
    1,     2,     7,     8,     9,     10,    14,    25,    26,    27,    28,    29,    31,    58,
    59,    60,    61,    62,    63,    90,    91,    92,    93,    357,   366,   438,   532,   685,
    705,   796,   930,   1058,  1220,  1267,  1279,  1303,  1343,  1377,  1391,  1635,  1782,  1875,
    2162,  2361,  2488,  3467,  4008,  4211,  4600,  4808,  5299,  5855,  6329,  7203,  9609,  9959,
    10563, 10786, 11420, 11709, 11907, 13163, 13697, 13700, 14808, 15306, 16410, 16791, 17992, 19203,
    19510, 20724, 22305, 22935, 27007, 30109, 30420, 33409, 34949, 40283, 40493, 40549, 47282, 49146,
};

static void lay_out(struct pn_vocab *v, int n_vocab)
{
    v->n_vocab = n_vocab;
    v->multilingual = n_vocab > PN_VOCAB_MIN;
    v->n_languages = n_vocab - 51765 - (v->multilingual ? 1 : 0);
    v->timestamp_begin = n_vocab - N_TIMESTAMPS;
    v->notimestamps = v->timestamp_begin - 1;
    v->nospeech = v->timestamp_begin - 2;
    v->startofprev = v->timestamp_begin - 3;
    v->startoflm = v->timestamp_begin - 4;
    v->transcribe = v->timestamp_begin - 5;
    v->translate = v->timestamp_begin - N_TASK_TOKENS;
    v->first_language = v->translate - v->n_languages;
    v->sot = v->first_language - 1;
    v->eot = v->sot - 1;
    v->non_speech = v->multilingual ? NON_SPEECH_MULTILINGUAL : NON_SPEECH_ENGLISH;
    v->n_non_speech =
        v->multilingual ? PN_ARRAY_LEN(NON_SPEECH_MULTILINGUAL) : PN_ARRAY_LEN(NON_SPEECH_ENGLISH);
}

int pn_vocab_new(struct pn_bpe *bpe, int n_vocab, struct pn_vocab **ret, struct pn_err *err)
{
    struct pn_vocab *v = calloc(1, sizeof(*v));
    int r = 0;
    if (!v)
        r = pn_fail(err, PN_ENOMEM, "vocabulary: out of memory");
    else if (n_vocab < PN_VOCAB_MIN || n_vocab > PN_VOCAB_MAX)
        r = pn_fail(err, PN_EUNSUPPORTED, "%d tokens are no Whisper vocabulary: %d to %d are", n_vocab,
                    PN_VOCAB_MIN, PN_VOCAB_MAX);
    else
        lay_out(v, n_vocab);
    if (r == 0 && pn_bpe_size(bpe) > (size_t)v->eot) /* text would be encoded as special tokens, or as none */
        r = pn_fail(err, PN_EFORMAT, "vocabulary: %zu text tokens; the model has %d", pn_bpe_size(bpe),
                    (int)v->eot);
    if (r < 0) {
        pn_bpe_free(bpe);
        free(v);
        return r;
    }
    v->bpe = bpe;
    *ret = v;
    return 0;
}

struct pn_vocab *pn_vocab_free(struct pn_vocab *v)
{
    if (v)
        pn_bpe_free(v->bpe);
    free(v);
    return NULL;
}

int pn_vocab_language(const struct pn_vocab *v, const char *code)
{
    int i = pn_language_index(code);
    return i >= 0 && i < v->n_languages ? v->first_language + i : -PN_EUNSUPPORTED;
}

const char *pn_vocab_language_code(const struct pn_vocab *v, int32_t id)
{
    return id >= v->first_language && id < v->translate ? pn_language_at(id - v->first_language) : NULL;
}

/* In the order of the ids from eot on, without the languages between sot and translate. */
static const char *special_name(const struct pn_vocab *v, int32_t id)
{
    static const char *const TASKS[N_TASK_TOKENS] = {
        "translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps",
    };
    if (id >= v->translate)
        return TASKS[id - v->translate];
    if (id >= v->first_language)
        return pn_vocab_language_code(v, id);
    return id == v->eot ? "endoftext" : "startoftranscript";
}

static void append_bytes(const struct pn_vocab *v, int32_t id, bool timestamps, struct pn_buf *out)
{
    if (id < v->eot)
        pn_buf_str(out, pn_bpe_token(v->bpe, id));
    else if (id < v->timestamp_begin)
        pn_buf_printf(out, "<|%s|>", special_name(v, id));
    else if (timestamps) /* in steps of 0.02 s */
        pn_buf_printf(out, "<|%" PRId32 ".%02" PRId32 "|>", (id - v->timestamp_begin) / 50,
                      (id - v->timestamp_begin) % 50 * 2);
}

void pn_vocab_decode(const struct pn_vocab *v, const int32_t *ids, size_t n, bool timestamps,
                     struct pn_buf *out)
{
    struct pn_buf bytes;
    pn_buf_init(&bytes, out->max);
    for (size_t i = 0; i < n; i++)
        append_bytes(v, ids[i], timestamps, &bytes);
    if (bytes.failed)
        out->failed = bytes.failed;
    else
        pn_utf8_append_lossy(out, (struct pn_str){ bytes.ptr, bytes.len });
    pn_buf_done(&bytes);
}

int pn_vocab_encode_prompt(const struct pn_vocab *v, struct pn_str text, int32_t *ids, size_t cap)
{
    struct pn_str words = pn_utf8_strip(text);
    struct pn_buf spaced;
    pn_buf_init(&spaced, words.len + 1);
    pn_buf_putc(&spaced, ' ');
    pn_buf_str(&spaced, words);
    int r = spaced.failed;
    if (r == 0)
        r = pn_bpe_encode(v->bpe, (struct pn_str){ spaced.ptr, spaced.len }, ids, cap);
    pn_buf_done(&spaced);
    return r;
}
