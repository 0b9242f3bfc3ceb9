/* attend.c - see attend.h. */
#include "asr/sanm/attend.h"

#include "nn/attention.h"

#include <stdlib.h>

/* Up to here packing the keys and values costs more than it saves. */
enum { FEW_QUERIES = 48 };

static bool is_small(int m, int cached, bool limited)
{
    return m <= FEW_QUERIES || cached > 0 || limited;
}

size_t pn_attend_room_size(enum pn_precision p, int m, int n, int cached, int d)
{
    size_t small = pn_small_attention_scratch(n + cached);
    size_t packed = pn_attention_packed_size(p, n, d) + pn_attention_scratch(p, m, n, d);
    return m <= FEW_QUERIES ? small : PN_MAX(small, packed);
}

int pn_attend_room_reserve(struct pn_attend_room *r, int threads, size_t each)
{
    if (threads <= r->threads && each <= r->each)
        return 0;
    void *memory = NULL;
    each = pn_round_up(PN_MAX(each, r->each), 64) + 64; /* an odd line between two threads' parts */
    if (posix_memalign(&memory, 64, (size_t)threads * each) != 0)
        return -PN_ENOMEM;
    free(r->memory);
    *r = (struct pn_attend_room){ memory, each, threads };
    return 0;
}

void pn_attend_room_done(struct pn_attend_room *r)
{
    free(r->memory);
    *r = (struct pn_attend_room){ 0 };
}

void *pn_attend_room(const struct pn_attend_room *r, int thread)
{
    return r->memory + (size_t)thread * r->each;
}

static struct pn_kv_rows own_rows(const struct pn_attend_rows *a, size_t column, int n)
{
    return (struct pn_kv_rows){ .n = n, .k = a->k + column, .v = a->v + column, .ld = a->ldkv };
}

static struct pn_kv_rows cached_rows(const struct pn_attend_rows *a, size_t column)
{
    const struct pn_kv_cache *c = a->cache;
    if (!c || c->have == 0)
        return (struct pn_kv_rows){ 0 };
    size_t at = column * (c->half ? sizeof(uint16_t) : sizeof(float));
    return (struct pn_kv_rows){ .n = c->have,
                                .half = c->half,
                                .k = (const char *)pn_kv_keys(c, a->layer) + at,
                                .v = (const char *)pn_kv_values(c, a->layer) + at,
                                .ld = (size_t)c->width };
}

static void attend_small(const struct pn_attend_rows *a, int d, size_t column, void *room)
{
    struct pn_small_attend s = { .m = a->m,
                                 .d = d,
                                 .q = a->q + column,
                                 .ldq = a->ldq,
                                 .span = { cached_rows(a, column), own_rows(a, column, a->n) },
                                 .out = a->out + column,
                                 .ldo = a->ldo,
                                 .scratch = room };
    if (!a->limits) {
        pn_small_attention(&s);
        return;
    }
    s.m = 1;
    for (int i = 0; i < a->m; i++, s.q += a->ldq, s.out += a->ldo) {
        s.span[1].n = a->limits[i];
        pn_small_attention(&s);
    }
}

static void attend_packed(const struct pn_attend_rows *a, int d, size_t column, char *room)
{
    pn_attention_pack(a->precision, a->n, d, a->k + column, a->ldkv, a->v + column, a->ldkv, room);
    const struct pn_attend p = { .m = a->m,
                                 .n = a->n,
                                 .d = d,
                                 .q = a->q + column,
                                 .ldq = a->ldq,
                                 .packed = room,
                                 .out = a->out + column,
                                 .ldo = a->ldo,
                                 .scratch = room + pn_attention_packed_size(a->precision, a->n, d) };
    pn_attention(a->precision, &p);
}

void pn_attend_head(const struct pn_attend_rows *a, int head, void *room)
{
    int d = a->width / a->heads;
    size_t column = (size_t)head * (size_t)d;
    if (is_small(a->m, a->cache ? a->cache->have : 0, a->limits != NULL))
        attend_small(a, d, column, room);
    else
        attend_packed(a, d, column, room);
}
