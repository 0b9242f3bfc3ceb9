/* realtime_turn.c - see realtime_turn.h. */
#include "server/realtime_turn.h"

#include <string.h>

#define TRANSCRIPT_MAX (1 << 20)

void pn_rt_turn_init(struct pn_rt_turn *u, size_t first, bool early)
{
    *u = (struct pn_rt_turn){ .first = first, .early = early };
    pn_buf_init(&u->said, TRANSCRIPT_MAX);
}

void pn_rt_turn_done(struct pn_rt_turn *u)
{
    pn_buf_done(&u->said);
}

/* Appends to a text that begins without blanks. */
static void add(struct pn_buf *text, struct pn_str more)
{
    while (text->len == 0 && more.len > 0 && *more.ptr == ' ')
        more.ptr++, more.len--;
    pn_buf_str(text, more);
}

/* One past its last sentence. */
static size_t end_of(const struct pn_rt_turn *u, const struct pn_transcript *now)
{
    return u->rest ? now->n_sentences : PN_MIN(u->first + 1, now->n_sentences);
}

static void add_segments(struct pn_buf *text, const struct pn_transcript *now, size_t from, size_t n)
{
    for (size_t i = from; i < PN_MIN(from + n, now->n_segments); i++)
        add(text, pn_str(now->segments[i].text));
}

static void take_live(struct pn_rt_turn *u, const struct pn_transcript *now)
{
    if (u->first >= now->n_sentences)
        return;
    size_t all = strlen(now->live_text);
    size_t begin = now->sentences[u->first].live_start;
    size_t end = u->rest ? all : PN_MIN(now->sentences[u->first].live_end, all);
    if (begin + u->n_live >= end)
        return;
    add(&u->said, (struct pn_str){ now->live_text + begin + u->n_live, end - begin - u->n_live });
    u->n_live = end - begin;
}

static void take_settled(struct pn_rt_turn *u, const struct pn_transcript *now)
{
    for (size_t i = u->first + u->n_closed; i < end_of(u, now) && now->sentences[i].closed;
         i++, u->n_closed++)
        add_segments(&u->said, now, now->sentences[i].segment, now->sentences[i].n_segments);
}

static int delta_since(const struct pn_rt_turn *u, size_t before, struct pn_str *ret_delta)
{
    if (u->said.failed < 0)
        return u->said.failed;
    *ret_delta = (struct pn_str){ u->said.len > before ? u->said.ptr + before : "", u->said.len - before };
    return 0;
}

int pn_rt_turn_news(struct pn_rt_turn *u, const struct pn_transcript *now, struct pn_str *ret_delta)
{
    size_t before = u->said.len;
    if (u->early)
        take_live(u, now);
    else
        take_settled(u, now);
    return delta_since(u, before, ret_delta);
}

size_t pn_rt_turn_segments(const struct pn_rt_turn *u, const struct pn_transcript *now, size_t *ret_n)
{
    *ret_n = 0;
    if (u->first >= now->n_sentences)
        return 0;
    const struct pn_sentence *first = &now->sentences[u->first];
    size_t from = PN_MIN(first->segment, now->n_segments), all = now->n_segments - from;
    *ret_n = u->rest ? all : PN_MIN(first->n_segments, all);
    return from;
}

int pn_rt_turn_last(struct pn_rt_turn *u, const struct pn_transcript *now, struct pn_str *ret_delta,
                    bool *ret_differs)
{
    struct pn_buf final;
    struct pn_str delta;
    size_t before = u->said.len, n, from = pn_rt_turn_segments(u, now, &n);
    int r = pn_rt_turn_news(u, now, &delta);
    pn_buf_init(&final, TRANSCRIPT_MAX);
    add_segments(&final, now, from, n);
    size_t said = u->said.len;
    bool begins = final.len >= said && (said == 0 || memcmp(final.ptr, u->said.ptr, said) == 0);
    if (begins && final.len > said)
        pn_buf_append(&u->said, final.ptr + said, final.len - said);
    if (r == 0)
        r = final.failed < 0 ? final.failed : delta_since(u, before, ret_delta);
    if (r == 0)
        *ret_differs = !begins;
    pn_buf_done(&final);
    return r;
}
