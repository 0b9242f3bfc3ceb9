/* hotword_ids.c - see hotwords.h: the token ids of a word.
 *
 * The reference knows two kinds of words that seg_dict does not list: Chinese characters and digits only,
 * which it takes apart, and others, which are one unknown token. Here a word of both ("打开usb") is taken
 * apart into what it consists of. */
#include "asr/paraformer/hotwords.h"

#include "text/utf8.h"

struct ids {
    const struct pn_hotword_vocabulary *v;
    int32_t *id;
    size_t n, max;
    bool any_known;
};

static int add_id(struct ids *l, int64_t id)
{
    if (l->n == l->max)
        return -PN_ELIMIT;
    bool known = id >= 0 && id <= INT32_MAX && id != l->v->unknown;
    l->any_known |= known;
    l->id[l->n++] = known ? (int32_t)id : l->v->unknown;
    return 0;
}

/* Up to the next white space. */
static struct pn_str next_part(struct pn_str *s)
{
    struct pn_str part = { s->ptr, 0 };
    while (s->len > 0) {
        uint32_t cp = 0;
        size_t n = PN_MAX(pn_utf8_next(*s, &cp), 1);
        *s = (struct pn_str){ s->ptr + n, s->len - n };
        if (pn_utf8_is_space(cp))
            break;
        part.len += n;
    }
    return part;
}

static int add_pieces(struct ids *l, struct pn_str pieces)
{
    int r = 0;
    while (r == 0 && pieces.len > 0) {
        struct pn_str piece = next_part(&pieces);
        if (piece.len > 0)
            r = add_id(l, l->v->id(l->v->ctx, piece));
    }
    return r;
}

/* Bytes of the Chinese character or digit that `s` begins with, else 0. */
static size_t single(struct pn_str s)
{
    uint32_t cp;
    size_t n = pn_utf8_next(s, &cp);
    return n > 0 && ((cp >= 0x4e00 && cp <= 0x9fa5) || (cp >= '0' && cp <= '9')) ? n : 0;
}

/* Bytes up to the next Chinese character or digit. */
static size_t other_run(struct pn_str s)
{
    size_t n = 0;
    while (n < s.len && single((struct pn_str){ s.ptr + n, s.len - n }) == 0)
        n++;
    return n;
}

static int add_part(struct ids *l, struct pn_str part)
{
    struct pn_str pieces = l->v->pieces(l->v->ctx, part);
    if (pieces.len > 0)
        return add_pieces(l, pieces);
    int r = 0;
    while (r == 0 && part.len > 0) {
        size_t n = single(part);
        if (n == 0)
            n = other_run(part);
        pieces = l->v->pieces(l->v->ctx, (struct pn_str){ part.ptr, n });
        r = pieces.len > 0 ? add_pieces(l, pieces) : add_id(l, l->v->unknown);
        part = (struct pn_str){ part.ptr + n, part.len - n };
    }
    return r;
}

int pn_hotword_ids(const struct pn_hotword_vocabulary *v, struct pn_str word, int32_t *ids, size_t max)
{
    struct ids l = { .v = v, .id = ids, .max = max };
    char lower[PN_HOTWORD_BYTES_MAX];
    if (word.len > sizeof(lower))
        return -PN_ELIMIT;
    for (size_t i = 0; i < word.len; i++)
        lower[i] = (char)(word.ptr[i] >= 'A' && word.ptr[i] <= 'Z' ? word.ptr[i] - 'A' + 'a' : word.ptr[i]);
    struct pn_str rest = { lower, word.len };
    int r = 0;
    while (r == 0 && rest.len > 0) {
        struct pn_str part = next_part(&rest);
        if (part.len > 0)
            r = add_part(&l, part);
    }
    return r < 0 ? r : l.any_known ? (int)l.n : 0;
}
