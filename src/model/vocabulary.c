/* vocabulary.c - see vocabulary.h.
 *
 * The files write each byte of a token as one printable character: bytes 33-126, 161-172 and 174-255 as
 * themselves, the other 68 in their order as U+0100, U+0101 ... */
#include "model/vocabulary.h"

#include "base/json_parse.h"

#include <string.h>

static bool prints_as_itself(uint32_t c)
{
    return (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || (c >= 174 && c <= 255);
}

/* The byte that a character stands for, -1: none. */
static int byte_of(uint32_t c)
{
    if (prints_as_itself(c))
        return (int)c;
    if (c < 0x100)
        return -1;
    uint32_t nth = c - 0x100;
    for (uint32_t b = 0; b < 256; b++) /* at most 173 steps, for spaces and controls only */
        if (!prints_as_itself(b) && nth-- == 0)
            return (int)b;
    return -1;
}

bool pn_vocabulary_is_special(struct pn_str token)
{
    return token.len > 4 && memcmp(token.ptr, "<|", 2) == 0 &&
           memcmp(token.ptr + token.len - 2, "|>", 2) == 0;
}

static int unmap(struct pn_checkpoint *c, struct pn_str printed, int64_t id, struct pn_err *err)
{
    char *bytes = pn_arena_alloc(c->strings, printed.len ? printed.len : 1);
    if (!bytes)
        return pn_fail(err, PN_ENOMEM, "no memory for the vocabulary");
    size_t n = 0, used;
    uint32_t character;
    while ((used = pn_utf8_next(printed, &character)) > 0) {
        int byte = byte_of(character);
        if (byte < 0)
            break;
        bytes[n++] = (char)byte;
        printed = (struct pn_str){ printed.ptr + used, printed.len - used };
    }
    if (printed.len > 0)
        return pn_fail(err, PN_EFORMAT, "vocabulary: token %lld is not written in the byte alphabet",
                       (long long)id);
    c->tokens[id] = (struct pn_str){ bytes, n };
    return 0;
}

static struct pn_str key_of(void *iter)
{
    return (struct pn_str){ json_object_iter_key(iter), json_object_iter_key_len(iter) };
}

/* Checks the ids and returns the number of tokens: the largest id of an ordinary one, and one. */
static int64_t count_tokens(json_t *vocab, struct pn_err *err)
{
    int64_t n = 0;
    for (void *it = json_object_iter(vocab); it; it = json_object_iter_next(vocab, it)) {
        json_t *id = json_object_iter_value(it);
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) >= PN_CHECKPOINT_MAX_TOKENS)
            return pn_fail(err, PN_EFORMAT, "vocabulary: token '%.60s' has no usable id",
                           json_object_iter_key(it));
        if (!pn_vocabulary_is_special(key_of(it)))
            n = PN_MAX(n, json_integer_value(id) + 1);
    }
    return n;
}

static int read_vocab(struct pn_checkpoint *c, json_t *vocab, struct pn_err *err)
{
    int64_t n = count_tokens(vocab, err);
    int r = n < 0 ? (int)n : pn_checkpoint_make_tokens(c, (size_t)n, err);
    for (void *it = json_object_iter(vocab); it && r == 0; it = json_object_iter_next(vocab, it)) {
        int64_t id = json_integer_value(json_object_iter_value(it));
        if (pn_vocabulary_is_special(key_of(it)))
            continue;
        if (c->tokens[id].ptr)
            r = pn_fail(err, PN_EFORMAT, "vocabulary: id %lld is given twice", (long long)id);
        else
            r = unmap(c, key_of(it), id, err);
    }
    return r;
}

int pn_vocabulary_read(struct pn_checkpoint *c, struct pn_str vocab_json, struct pn_str tokenizer_json,
                       struct pn_err *err)
{
    bool own = vocab_json.len > 0;
    if (!own && tokenizer_json.len == 0)
        return 0;
    json_t *j;
    int r = pn_json_object(own ? vocab_json : tokenizer_json, PN_JSON_FILE,
                           own ? "vocab.json" : "tokenizer.json", 0, &j, err);
    if (r < 0)
        return r;
    json_t *vocab = own ? j : json_object_get(json_object_get(j, "model"), "vocab");
    if (json_is_object(vocab))
        r = read_vocab(c, vocab, err);
    else
        r = pn_fail(err, PN_EFORMAT, "tokenizer.json holds no vocabulary");
    json_decref(j);
    return r;
}
