/* listen.c - from samples to utterances: takes them from the inbox, has the cutter find boundaries, opens and
 * ends utterances. What nobody needs any more is dropped at once, so a stream holds the open segment, a few
 * that wait, and what the detector has not decided. */
#include "asr/pipeline/flow.h"
#include "asr/pipeline/utterance.h"
#include "asr/vad/pause.h"
#include "base/clock.h"

enum {
    WAITING_MAX = 2,                /* segments that are complete and not begun */
    UNFED_MAX = 5 * PN_SAMPLE_RATE, /* samples that a streaming model has no room for yet */
    BEHIND = PN_SAMPLE_RATE / 5,    /* more than that in the inbox: no time for drafts */
    DRAFT_STEP = PN_SAMPLE_RATE * 6 / 10,
    DRAFT_PART = 16 /* a draft when the segment has grown by this part of it */
};

static struct pn_utterance *open_utterance(const struct pn_pipeline_stream *s)
{
    return s->last && s->last->state == PN_UTTERANCE_OPEN ? s->last : NULL;
}

/* ---- whether ---- */

static bool is_behind(const struct pn_pipeline_stream *s)
{
    bool streamed = s->plan.route == PN_ROUTE_STREAMED;
    int n_waiting = 0, n_inner = 0;
    for (const struct pn_utterance *u = s->first; u; u = u->next) {
        n_waiting += u->state == PN_UTTERANCE_WAITING;
        n_inner += u->inner != NULL;
        if (streamed && u->inner && u->n_to_feed > u->n_fed + UNFED_MAX)
            return true;
    }
    return n_waiting >= WAITING_MAX || (streamed && n_inner > PN_PIPELINE_TOGETHER);
}

bool pn_listen_ready(struct pn_pipeline_stream *s, int64_t *ret_since_us)
{
    bool finished;
    if (s->plan.route == PN_ROUTE_DIRECT || s->heard_all || is_behind(s))
        return false;
    size_t n = pn_pcm_inbox_len(&s->inbox, &finished);
    size_t least = s->want.live ? 1 : PN_PIPELINE_PIECE / 2;
    if (s->plan.short_whole && !s->cutting)
        least = (size_t)s->plan.limit + 1;
    *ret_since_us = atomic_load_explicit(&s->waiting_us, memory_order_relaxed);
    if (s->want.live)
        *ret_since_us = PN_MAX(*ret_since_us, pn_stream_due_us(&s->base, pn_track_end(&s->track)));
    return finished || n >= least;
}

/* ---- boundaries ---- */

static int begin_cutting(struct pn_pipeline_stream *s)
{
    bool finished;
    size_t n = pn_pcm_inbox_len(&s->inbox, &finished);
    bool whole = s->plan.short_whole && finished && n <= (size_t)s->plan.limit;
    s->cutting = true;
    return pn_cutter_init(&s->cutter, whole ? PN_CUT_NONE : s->plan.cut, s->pipeline->parts.vad,
                          s->want.vad_options, whole ? 0 : s->plan.limit);
}

static int begin_utterance(struct pn_pipeline_stream *s, int64_t start, struct pn_err *err)
{
    s->segment_start = start;
    if (s->plan.route == PN_ROUTE_SEGMENTS)
        return 0;
    struct pn_utterance *u = pn_utterance_new(s, PN_UTTERANCE_OPEN);
    int r = u ? pn_utterance_begin(u, start) : -PN_ENOMEM;
    if (r == 0 && s->want.live)
        r = pn_published_sentence(&s->published, (double)start / PN_SAMPLE_RATE, &u->sentence);
    if (r == 0 && s->plan.route == PN_ROUTE_STREAMED)
        r = pn_utterance_hear(s, u, PN_HEAR_FINAL, err);
    return r;
}

/* Cut by length alone, there may be nothing to hear. */
static bool is_silent(const struct pn_pipeline_stream *s, const float *pcm, size_t n)
{
    return s->cutter.how == PN_CUT_LENGTH && pn_pause_only(pcm, n);
}

/* A segment of a file: an utterance, or a part of one that has room for it. */
static int add_segment(struct pn_pipeline_stream *s, int64_t end)
{
    size_t n = (size_t)(end - s->segment_start),
           window = (size_t)s->pipeline->first->window_s * PN_SAMPLE_RATE;
    struct pn_utterance *u = s->last && s->last->state == PN_UTTERANCE_JOINING ? s->last : NULL;
    if (n == 0 || is_silent(s, pn_track_at(&s->track, s->segment_start), n))
        return 0;
    if (u && pn_utterance_length(u) + n > window) {
        u->state = PN_UTTERANCE_WAITING;
        u = NULL;
    }
    if (!u)
        u = pn_utterance_new(s, PN_UTTERANCE_JOINING);
    int r = u ? pn_utterance_begin(u, s->segment_start) : -PN_ENOMEM;
    if (r == 0)
        r = pn_utterance_end(s, u, end);
    if (r == 0 && !s->plan.join)
        u->state = PN_UTTERANCE_WAITING;
    return r;
}

/* Audio up to `end` is complete now, or will be as somebody who talks would have it. */
static int64_t due_us(const struct pn_pipeline_stream *s, int64_t end)
{
    return PN_MAX(pn_now_us(), pn_stream_due_us(&s->base, end));
}

static int end_utterance(struct pn_pipeline_stream *s, int64_t end)
{
    if (s->plan.route == PN_ROUTE_SEGMENTS)
        return add_segment(s, end);
    struct pn_utterance *u = open_utterance(s);
    if (s->plan.route == PN_ROUTE_REPEATED)
        pn_utterance_drop_inner(u);
    int r = pn_utterance_end(s, u, end);
    u->due_us = due_us(s, end);
    u->state = s->plan.route == PN_ROUTE_STREAMED ? PN_UTTERANCE_RUNNING : PN_UTTERANCE_WAITING;
    size_t n = pn_utterance_length(u);
    if (r == 0 && s->plan.route == PN_ROUTE_REPEATED && (n == 0 || is_silent(s, u->pcm, n)))
        u->state = PN_UTTERANCE_WRITTEN;
    return r;
}

static int take_boundaries(struct pn_pipeline_stream *s, struct pn_err *err)
{
    struct pn_vad_event e;
    int r = 0;
    while (r == 0 && pn_cutter_next(&s->cutter, &s->track, &e))
        r = e.start ? begin_utterance(s, e.sample, err) : end_utterance(s, e.sample);
    return r;
}

/* ---- samples ---- */

static void feed_open(struct pn_pipeline_stream *s)
{
    struct pn_utterance *u = open_utterance(s);
    if (!u || s->plan.route != PN_ROUTE_STREAMED)
        return;
    u->n_to_feed = (size_t)(pn_track_end(&s->track) - pn_utterance_start(u));
    u->no_second = u->n_to_feed > PN_PIPELINE_SENTENCE;
}

/* The first sample that the open segment's utterance still needs. */
static int64_t needed_by_open(const struct pn_pipeline_stream *s)
{
    const struct pn_utterance *u = open_utterance(s);
    bool whole = s->plan.route != PN_ROUTE_STREAMED || (s->plan.second && !u->no_second);
    return s->segment_start + (whole ? 0 : (int64_t)u->n_fed);
}

static void drop_needless(struct pn_pipeline_stream *s)
{
    int64_t needed = pn_cutter_needs(&s->cutter);
    if (s->cutter.open)
        needed = PN_MIN(needed, needed_by_open(s));
    pn_track_drop(&s->track, needed);
}

static int hear(struct pn_pipeline_stream *s, bool *ret_end)
{
    float *piece = s->pipeline->piece;
    size_t n = pn_pcm_inbox_take(&s->inbox, piece, PN_PIPELINE_PIECE, ret_end);
    if (n < PN_PIPELINE_PIECE)
        atomic_store_explicit(&s->waiting_us, 0, memory_order_relaxed);
    int r = pn_track_add(&s->track, piece, n);
    if (r == 0)
        r = pn_cutter_hear(&s->cutter, piece, n);
    return r == 0 && *ret_end ? pn_cutter_end(&s->cutter) : r;
}

int pn_listen_step(struct pn_pipeline_stream *s, struct pn_err *err)
{
    bool end = false;
    int r = s->cutting ? 0 : begin_cutting(s);
    if (r == 0)
        r = hear(s, &end);
    if (r == 0)
        r = take_boundaries(s, err);
    if (r < 0)
        return r;
    feed_open(s);
    drop_needless(s);
    s->heard_all = end;
    if (end && s->last && s->last->state == PN_UTTERANCE_JOINING)
        s->last->state = PN_UTTERANCE_WAITING;
    return 0;
}

/* ---- drafts ---- */

double pn_listen_pace(const struct pn_pipeline_stream *s)
{
    return PN_MAX(s->pipeline->base.draft_pace, 1.0);
}

static bool draft_is_due(struct pn_pipeline_stream *s, const struct pn_utterance *u, size_t n)
{
    bool finished;
    for (const struct pn_utterance *before = s->first; before != u; before = before->next)
        if (before->state < PN_UTTERANCE_HEARD)
            return false;
    size_t step = PN_MAX((size_t)DRAFT_STEP, n / DRAFT_PART);
    return n >= u->n_drafted + (size_t)((double)step * pn_listen_pace(s)) &&
           pn_now_us() >= u->rest_until_us && pn_pcm_inbox_len(&s->inbox, &finished) < BEHIND && !finished;
}

int pn_listen_draft(struct pn_pipeline_stream *s, struct pn_err *err)
{
    struct pn_utterance *u = open_utterance(s);
    if (!u || s->plan.route != PN_ROUTE_REPEATED || u->inner)
        return 0;
    int64_t start = pn_utterance_start(u);
    size_t n = (size_t)(pn_track_end(&s->track) - start);
    if (!draft_is_due(s, u, n))
        return 0;
    u->n_drafted = n;
    if (is_silent(s, pn_track_at(&s->track, start), n))
        return 0;
    u->n_to_feed = n;
    u->whole = true;
    u->due_us = due_us(s, start + (int64_t)n);
    return pn_utterance_hear(s, u, PN_HEAR_DRAFT, err);
}
