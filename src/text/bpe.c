/* bpe.c - the vocabulary: id to bytes by an offset table, bytes to id by a hash table with open addressing.
 * Immutable once made. */
#include "text/bpe_impl.h"

#include <stdlib.h>
#include <string.h>

struct pn_bpe {
    size_t n;         /* ids */
    uint32_t *offset; /* [n + 1] into bytes: token i is bytes[offset[i] .. offset[i + 1]) */
    char *bytes;
    size_t longest;
    uint32_t mask; /* slots - 1 */
    int32_t *slot; /* id or -1; at most half of them are in use */
};

/* FNV-1a: tokens are a few bytes long. */
static uint32_t hash(struct pn_str s)
{
    uint32_t h = 2166136261U;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * 16777619U;
    return h ^ h >> 15;
}

struct pn_str pn_bpe_token(const struct pn_bpe *b, int32_t id)
{
    if (id < 0 || (size_t)id >= b->n)
        return (struct pn_str){ 0 };
    return (struct pn_str){ b->bytes + b->offset[id], b->offset[id + 1] - b->offset[id] };
}

/* The slot that holds `s`, or the free one where it belongs. */
static int32_t *find_slot(const struct pn_bpe *b, struct pn_str s)
{
    uint32_t i = hash(s) & b->mask;
    while (b->slot[i] >= 0 && !pn_str_eq(pn_bpe_token(b, b->slot[i]), s))
        i = (i + 1) & b->mask;
    return &b->slot[i];
}

int32_t pn_bpe_find(const struct pn_bpe *b, struct pn_str s)
{
    return s.len > 0 && s.len <= b->longest ? *find_slot(b, s) : -1;
}

size_t pn_bpe_size(const struct pn_bpe *b)
{
    return b->n;
}

static int total_length(const struct pn_str *tokens, size_t n, size_t *ret, struct pn_err *err)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (tokens[i].len > PN_BPE_MAX_TOKEN_LEN)
            return pn_fail(err, PN_EFORMAT, "vocabulary: token %zu has %zu bytes", i, tokens[i].len);
        sum += tokens[i].len;
        if (sum > PN_BPE_MAX_BYTES)
            return pn_fail(err, PN_EFORMAT, "vocabulary: the tokens are too long together");
    }
    *ret = sum;
    return 0;
}

static int reserve(struct pn_bpe *b, size_t n, size_t len, struct pn_err *err)
{
    uint32_t slots = 16;
    while (slots < 2 * n)
        slots *= 2;
    b->mask = slots - 1;
    b->offset = calloc(n + 1, sizeof(*b->offset));
    b->bytes = malloc(len + 1);
    b->slot = malloc(slots * sizeof(*b->slot));
    if (!b->offset || !b->bytes || !b->slot)
        return pn_fail(err, PN_ENOMEM, "vocabulary: out of memory");
    memset(b->slot, 0xff, slots * sizeof(*b->slot)); /* -1 */
    return 0;
}

static int insert(struct pn_bpe *b, struct pn_str token, struct pn_err *err)
{
    size_t id = b->n;
    if (token.len > 0)
        memcpy(b->bytes + b->offset[id], token.ptr, token.len);
    b->offset[id + 1] = b->offset[id] + (uint32_t)token.len;
    b->longest = PN_MAX(b->longest, token.len);
    b->n++;
    if (token.len == 0)
        return 0;
    int32_t *slot = find_slot(b, token);
    if (*slot >= 0)
        return pn_fail(err, PN_EFORMAT, "vocabulary: tokens %d and %zu are the same", (int)*slot, id);
    *slot = (int32_t)id;
    return 0;
}

int pn_bpe_new(const struct pn_str *tokens, size_t n, struct pn_bpe **ret, struct pn_err *err)
{
    if (n == 0 || n > PN_BPE_MAX_TOKENS)
        return pn_fail(err, PN_EFORMAT, "vocabulary: %zu tokens", n);
    struct pn_bpe *b = calloc(1, sizeof(*b));
    size_t len = 0;
    int r = b ? total_length(tokens, n, &len, err) : pn_fail(err, PN_ENOMEM, "vocabulary: out of memory");
    if (r == 0)
        r = reserve(b, n, len, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = insert(b, tokens[i], err);
    if (r < 0) {
        pn_bpe_free(b);
        return r;
    }
    *ret = b;
    return 0;
}

struct pn_bpe *pn_bpe_free(struct pn_bpe *b)
{
    if (b) {
        free(b->offset);
        free(b->bytes);
        free(b->slot);
    }
    free(b);
    return NULL;
}
