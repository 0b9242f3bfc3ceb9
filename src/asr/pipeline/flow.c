/* flow.c - from inner streams to published results; see flow.h. */
#include "asr/pipeline/flow.h"

#include "asr/pipeline/utterance.h"
#include "base/clock.h"
#include "text/spoken.h"

#include <math.h>

void pn_flow_fail(struct pn_pipeline_stream *s, int code, const struct pn_err *err)
{
    if (s->failed)
        return;
    s->failed = true;
    struct pn_err why = { 0 };
    pn_fail(&why, (enum pn_error) - code, "%s", err && err->code ? err->text : pn_error_name(code));
    pthread_mutex_lock(&s->published.mu);
    s->published.error = code;
    s->published.err = why;
    pthread_mutex_unlock(&s->published.mu);
}

/* ---- what inner streams heard ---- */

/* The mean over the segments. */
static double confidence_of(const struct pn_transcript *t)
{
    double sum = 0;
    for (size_t i = 0; i < t->n_segments; i++)
        sum += t->segments[i].confidence;
    return t->n_segments ? sum / (double)t->n_segments : 0;
}

static int show(struct pn_utterance *u, struct pn_str text, double confidence)
{
    pn_buf_clear(&u->shown);
    pn_buf_str(&u->shown, text);
    u->shown_anew = true;
    u->confidence = confidence;
    return u->shown.failed;
}

static int take_draft(struct pn_utterance *u, const struct pn_transcript *t, double pace)
{
    int64_t now = pn_now_us();
    u->partial_s = t->duration;
    u->rest_until_us = now + (int64_t)((double)(now - u->heard_us) * pace); /* half of the time at most */
    int r = pn_agreement_add(&u->agreement, pn_str(t->text));
    if (r < 0)
        return r;
    return show(u, (struct pn_str){ u->agreement.stable.ptr, u->agreement.stable.len }, confidence_of(t));
}

static int note_facts(struct pn_pipeline_stream *s, struct pn_utterance *u)
{
    const struct pn_transcript *t = u->heard;
    pthread_mutex_lock(&s->published.mu);
    s->published.word_times = t->word_times;
    if (s->direct)
        s->published.duration = t->duration;
    pthread_mutex_unlock(&s->published.mu);
    if (s->direct)
        u->spans[0].end = llround(t->duration * PN_SAMPLE_RATE);
    if (s->language || !t->language[0])
        return 0;
    s->language = pn_arena_str(s->arena, pn_str(t->language));
    return s->language ? 0 : -PN_ENOMEM;
}

/* Takes `t`: that is what was said. */
static int take_final(struct pn_pipeline_stream *s, struct pn_utterance *u, struct pn_transcript *t,
                      struct pn_err *err)
{
    bool first_pass = u->state == PN_UTTERANCE_RUNNING;
    pn_transcript_free(u->heard);
    u->heard = t;
    int r = note_facts(s, u);
    if (r == 0 && first_pass)
        r = show(u, pn_str(t->text), confidence_of(t));
    if (r < 0)
        return r;
    if (first_pass && s->plan.second && !u->no_second) {
        u->state = PN_UTTERANCE_SECOND;
        return pn_utterance_hear(s, u, PN_HEAR_SECOND, err);
    }
    u->state = PN_UTTERANCE_HEARD;
    return pn_write_begin(s, u);
}

/* The inner stream has its final result. */
static int collect(struct pn_pipeline_stream *s, struct pn_utterance *u, struct pn_err *err)
{
    struct pn_transcript *t = NULL;
    int r = pn_ops(u->inner)->result(u->inner, &t, err);
    if (r < 0)
        return r;
    if (u->inner == s->direct)
        u->inner = NULL; /* its owner may be calling it */
    else
        pn_utterance_drop_inner(u);
    if (u->state != PN_UTTERANCE_OPEN)
        return take_final(s, u, t, err);
    r = take_draft(u, t, pn_listen_pace(s));
    pn_transcript_free(t);
    return r;
}

/* What a streaming model has heard so far, if that is more than it was: most steps are parts of a chunk. */
static int take_partial(struct pn_utterance *u, struct pn_err *err)
{
    struct pn_transcript *t = NULL;
    double position = pn_ops(u->inner)->position(u->inner);
    if (position == u->partial_s)
        return 0;
    u->partial_s = position;
    int r = pn_ops(u->inner)->result(u->inner, &t, err);
    if (r == -PN_EAGAIN) {
        *err = (struct pn_err){ 0 };
        return 0;
    }
    if (r == 0) {
        r = show(u, pn_str(t->text), confidence_of(t));
        pn_transcript_free(t);
    }
    return r;
}

static int tend(struct pn_pipeline_stream *s, struct pn_utterance *u, bool heard, struct pn_err *err)
{
    bool streamed = s->plan.route == PN_ROUTE_STREAMED && u->state <= PN_UTTERANCE_RUNNING;
    int r = pn_utterance_pump(s, u);
    if (r == 0)
        r = pn_ops(u->inner)->status(u->inner, err);
    if (r == 1)
        return collect(s, u, err);
    return r == 0 && heard && streamed && s->want.live ? take_partial(u, err) : r;
}

static int tend_all(struct pn_pipeline_stream *s, bool heard, struct pn_err *err)
{
    int r = 0;
    for (struct pn_utterance *u = s->first; u && r == 0; u = u->next)
        if (u->inner)
            r = tend(s, u, heard, err);
    return r;
}

/* A model that finds the language does so once, in what is said first. */
static int most_together(const struct pn_pipeline_stream *s)
{
    bool unknown = s->pipeline->first->finds_language && !s->want.language[0] && !s->language;
    return unknown && s->plan.route == PN_ROUTE_SEGMENTS ? 1 : PN_PIPELINE_TOGETHER;
}

static int start_waiting(struct pn_pipeline_stream *s, struct pn_err *err)
{
    int n = 0, r = 0, most = most_together(s);
    for (struct pn_utterance *u = s->first; u; u = u->next)
        n += u->inner != NULL;
    for (struct pn_utterance *u = s->first; u && n < most && r == 0; u = u->next) {
        if (u->state != PN_UTTERANCE_WAITING)
            continue;
        u->state = PN_UTTERANCE_RUNNING;
        r = pn_utterance_hear(s, u, PN_HEAR_FINAL, err);
        n++;
    }
    return r;
}

/* ---- what the owner sees ---- */

/* Under mu. Text is shown in the order of time: what an utterance has to show waits until those before it
 * have shown all of theirs. */
static void grow_live(struct pn_pipeline_stream *s)
{
    struct pn_buf *live = &s->published.live;
    for (struct pn_utterance *u = s->first; u; u = u->next) {
        if (!u->in_live)
            u->live_at = u->live_end = live->len;
        u->in_live = true;
        if (u->shown_anew && (!u->next || !u->next->in_live)) {
            u->shown_anew = false;
            pn_spoken_extend(live, u->live_at, (struct pn_str){ u->shown.ptr, u->shown.len });
            u->live_end = live->len;
        }
        if (u->state < PN_UTTERANCE_SECOND)
            break;
    }
}

/* Under mu. */
static void publish_sentences(struct pn_pipeline_stream *s)
{
    struct pn_published *p = &s->published;
    for (const struct pn_utterance *u = s->first; u; u = u->next) {
        struct pn_sentence *sentence = &p->sentences[u->sentence];
        if (u->state != PN_UTTERANCE_OPEN)
            sentence->end = (double)u->spans[0].end / PN_SAMPLE_RATE;
        sentence->heard = u->in_live && u->state >= PN_UTTERANCE_SECOND;
        sentence->live_start = u->in_live ? u->live_at : p->live.len;
        sentence->live_end = u->in_live ? u->live_end : p->live.len;
        if (!u->settled)
            continue;
        sentence->closed = true;
        sentence->segment = u->segment;
        sentence->n_segments = u->n_segments;
    }
}

/* The words at their times in the stream; the transcript's memory. NULL without. */
static const struct pn_word *place_words(const struct pn_utterance *u, const struct pn_segment *segment)
{
    struct pn_word *words = pn_arena_alloc(u->heard->arena, (segment->n_words + 1) * sizeof(*words));
    for (size_t i = 0; words && i < segment->n_words; i++) {
        words[i] = segment->words[i];
        words[i].start = pn_utterance_time(u, words[i].start, false);
        words[i].end = pn_utterance_time(u, words[i].end, true);
    }
    return words;
}

static int close_segments(struct pn_pipeline_stream *s, const struct pn_utterance *u)
{
    const struct pn_transcript *t = u->heard;
    int r = 0;
    for (size_t i = 0; t && i < t->n_segments && r == 0; i++) {
        struct pn_segment segment = t->segments[i];
        segment.start = pn_utterance_time(u, segment.start, false);
        segment.end = pn_utterance_time(u, segment.end, true);
        segment.seek = (int64_t)(pn_utterance_time(u, (double)segment.seek / 100, false) * 100);
        segment.words = place_words(u, &segment);
        const char *text = u->lines && u->lines[i].text ? u->lines[i].text : segment.text;
        r = segment.words ? pn_published_close(&s->published, &segment, pn_str(text)) : -PN_ENOMEM;
    }
    return r;
}

/* Makes closed segments of the utterances whose texts are final, in order. */
static int settle(struct pn_pipeline_stream *s)
{
    int r = 0;
    for (struct pn_utterance *u = s->first; u && u->state == PN_UTTERANCE_WRITTEN && r == 0; u = u->next) {
        u->segment = s->published.n_made;
        r = close_segments(s, u);
        u->n_segments = s->published.n_made - u->segment;
        u->settled = true;
    }
    return r;
}

static void forget_settled(struct pn_pipeline_stream *s)
{
    while (s->first && s->first->settled) {
        struct pn_utterance *u = s->first;
        s->first = u->next;
        if (!s->first)
            s->last = NULL;
        pn_utterance_free(u);
    }
}

static struct pn_utterance *first_unsettled(const struct pn_pipeline_stream *s)
{
    struct pn_utterance *u = s->first;
    while (u && u->settled)
        u = u->next;
    return u;
}

/* Seconds of audio that are recognised: of what is still spoken, those that made the text that is shown. */
static double position(const struct pn_pipeline_stream *s)
{
    const struct pn_utterance *u = first_unsettled(s);
    if (!u)
        return (double)(s->heard_all ? s->cutter.heard : pn_cutter_needs(&s->cutter)) / PN_SAMPLE_RATE;
    if (u->state == PN_UTTERANCE_OPEN)
        return pn_utterance_time(u, u->partial_s, false);
    if (u->inner && u->state == PN_UTTERANCE_RUNNING)
        return pn_utterance_time(u, pn_ops(u->inner)->position(u->inner), false);
    bool over = u->state >= PN_UTTERANCE_HEARD;
    return pn_utterance_time(u, over ? (double)pn_utterance_length(u) / PN_SAMPLE_RATE : 0, over);
}

/* Under mu. */
static void publish_open(struct pn_pipeline_stream *s)
{
    struct pn_open_segment *o = &s->published.open;
    double confidence = 0;
    int n = 0;
    pn_buf_clear(&o->text);
    for (const struct pn_utterance *u = first_unsettled(s); u; u = u->next) {
        if (u->shown.len == 0)
            continue;
        pn_spoken_join(&o->text, (struct pn_str){ u->shown.ptr, u->shown.len });
        int64_t end = u->state == PN_UTTERANCE_OPEN ? s->cutter.heard : u->spans[u->n_spans - 1].end;
        if (n++ == 0)
            o->start = (double)pn_utterance_start(u) / PN_SAMPLE_RATE;
        o->end = (double)end / PN_SAMPLE_RATE;
        confidence += u->confidence;
    }
    o->confidence = n ? confidence / n : 0;
}

static int publish(struct pn_pipeline_stream *s)
{
    struct pn_published *p = &s->published;
    double at = position(s);
    pthread_mutex_lock(&p->mu);
    pn_published_show(p);
    if (s->want.live) {
        grow_live(s);
        publish_sentences(s);
        publish_open(s);
    }
    p->language = s->language ? s->language : s->want.language;
    p->position = PN_MAX(p->position, at);
    if (s->plan.route != PN_ROUTE_DIRECT)
        p->duration = (double)s->cutter.heard / PN_SAMPLE_RATE;
    p->final = s->heard_all && !first_unsettled(s);
    int r = p->live.failed ? p->live.failed : p->open.text.failed;
    pthread_mutex_unlock(&p->mu);
    forget_settled(s);
    return r;
}

void pn_flow_advance(struct pn_pipeline_stream *s, bool heard)
{
    struct pn_err err = { 0 };
    if (s->failed)
        return;
    int r = tend_all(s, heard, &err);
    if (r == 0)
        r = start_waiting(s, &err);
    if (r == 0)
        r = pn_listen_draft(s, &err);
    if (r == 0)
        r = settle(s);
    if (r == 0)
        r = publish(s);
    if (r < 0)
        pn_flow_fail(s, r, &err);
}
