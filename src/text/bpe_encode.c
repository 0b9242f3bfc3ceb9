/* bpe_encode.c - text to ids: each piece starts as single bytes, and the adjacent pair whose join has the
 * lowest rank is joined, leftmost first, until no pair is a token.
 *
 * Parts are a linked list over the piece's bytes, candidate pairs a heap by (rank, position) with stale
 * entries left in: n log n, so that a megabyte without a space is slow for nobody. */
#include "text/bpe_impl.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A part is bytes [i, i + len); a joined part's right half has len 0. */
struct part {
    uint32_t len, prev, next; /* neighbours by position; n: none after, UINT32_MAX: none before */
};

struct pair {
    int32_t rank;
    uint32_t at, len;
};

struct merger {
    const struct pn_bpe *b;
    struct pn_str piece;
    struct part *part; /* [n] */
    struct pair *heap; /* [3 n]: a join takes one pair out and puts two in at most */
    size_t cap, n_heap;
};

struct sink {
    int32_t *ids;
    size_t cap;
    int n;
};

static bool before(struct pair a, struct pair b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void heap_push(struct merger *m, struct pair p)
{
    size_t i = m->n_heap++;
    for (; i > 0 && before(p, m->heap[(i - 1) / 2]); i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = p;
}

static struct pair heap_pop(struct merger *m)
{
    struct pair top = m->heap[0], last = m->heap[--m->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < m->n_heap; i = child) {
        if (child + 1 < m->n_heap && before(m->heap[child + 1], m->heap[child]))
            child++;
        if (!before(m->heap[child], last))
            break;
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = last;
    return top;
}

/* Puts the part at `at` and the one after it up for joining, if that makes a token. */
static void offer(struct merger *m, uint32_t at)
{
    uint32_t next = m->part[at].next;
    if (next >= m->piece.len)
        return;
    uint32_t len = m->part[at].len + m->part[next].len;
    int32_t rank = pn_bpe_find(m->b, (struct pn_str){ m->piece.ptr + at, len });
    if (rank >= 0)
        heap_push(m, (struct pair){ rank, at, len });
}

/* An entry is stale when its left part is gone or either part has grown since. */
static bool is_current(const struct merger *m, struct pair p)
{
    const struct part *left = &m->part[p.at];
    return left->len > 0 && left->next < m->piece.len && left->len + m->part[left->next].len == p.len;
}

static void join(struct merger *m, struct pair p)
{
    struct part *left = &m->part[p.at], *right = &m->part[left->next];
    left->len = p.len;
    left->next = right->next;
    right->len = 0;
    if (left->next < m->piece.len)
        m->part[left->next].prev = p.at;
    offer(m, p.at);
    if (left->prev != UINT32_MAX)
        offer(m, left->prev);
}

static int reserve(struct merger *m, size_t n)
{
    if (n <= m->cap)
        return 0;
    size_t cap = PN_MAX(n, 2 * m->cap);
    free(m->part);
    free(m->heap);
    m->part = calloc(cap, sizeof(*m->part));
    m->heap = calloc(cap, 3 * sizeof(*m->heap));
    m->cap = m->part && m->heap ? cap : 0;
    return m->cap ? 0 : -PN_ENOMEM;
}

static void emit(struct sink *out, int32_t id)
{
    if ((size_t)out->n < out->cap)
        out->ids[out->n] = id;
    out->n++;
}

static int emit_parts(const struct merger *m, struct sink *out)
{
    for (uint32_t at = 0; at < m->piece.len; at = m->part[at].next) {
        int32_t id = pn_bpe_find(m->b, (struct pn_str){ m->piece.ptr + at, m->part[at].len });
        if (id < 0)
            return -PN_EUNSUPPORTED;
        emit(out, id);
    }
    return 0;
}

static int merge(struct merger *m, struct sink *out)
{
    uint32_t n = (uint32_t)m->piece.len;
    int r = reserve(m, n);
    if (r < 0)
        return r;
    m->n_heap = 0;
    for (uint32_t i = 0; i < n; i++)
        m->part[i] = (struct part){ .len = 1, .prev = i - 1, .next = i + 1 };
    for (uint32_t i = 0; i < n; i++)
        offer(m, i);
    while (m->n_heap > 0) {
        struct pair p = heap_pop(m);
        if (is_current(m, p))
            join(m, p);
    }
    return emit_parts(m, out);
}

int pn_bpe_encode(const struct pn_bpe *b, struct pn_str text, int32_t *ids, size_t cap)
{
    struct merger m = { .b = b };
    struct sink out = { .ids = ids, .cap = cap };
    int r = text.len > INT32_MAX ? -PN_EUNSUPPORTED : 0;
    while (r == 0 && text.len > 0) {
        m.piece = (struct pn_str){ text.ptr, pn_bpe_piece(text) };
        int32_t whole = pn_bpe_find(b, m.piece);
        if (whole >= 0)
            emit(&out, whole);
        else
            r = merge(&m, &out);
        text = (struct pn_str){ text.ptr + m.piece.len, text.len - m.piece.len };
    }
    free(m.part);
    free(m.heap);
    return r < 0 ? r : out.n;
}
