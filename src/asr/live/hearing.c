/* hearing.c - bytes to samples, and samples to the stream in pieces. */
#include "asr/live/session.h"

#include <stdlib.h>
#include <string.h>

enum {
    SLICE = 8192,     /* bytes converted at a time */
    TURN_SLICES = 16, /* in one turn, so that all have theirs */
    CUT_PARTS = 6 /* of `feed_samples`, of which streams that are cut at pauses are handed one at a time */
};

/* ---- samples to the stream ---- */

static void forget_samples(struct pn_live *s)
{
    free(s->pcm);
    s->pcm = NULL;
    s->n_pcm = s->cap_pcm = 0;
}

static int make_room(struct pn_live *s, size_t n)
{
    if (s->cap_pcm - s->n_pcm >= n)
        return 0;
    float *pcm = reallocarray(s->pcm, s->n_pcm + n, sizeof(*pcm));
    if (!pcm)
        return -PN_ENOMEM;
    s->pcm = pcm;
    s->cap_pcm = s->n_pcm + n;
    return 0;
}

/* A sentence that the detector finds may begin anywhere in a piece, so its chunks are complete somewhere in
 * one, too, and its end is. What waits for the rest of the piece comes late by as much. */
static size_t piece_of(const struct pn_live *s)
{
    size_t n = (size_t)s->engine->opt.feed_samples;
    return s->microphone && s->want->vad ? PN_MAX(n / CUT_PARTS, (size_t)1) : n;
}

/* Feeds whole pieces, at the end (`all`) the shorter one, too. 0, or the stream's -PN_EFULL or failure. */
static int feed_pieces(struct pn_live *s, bool all)
{
    size_t piece = piece_of(s), done = 0;
    int r = 0;
    while (r == 0 && (s->n_pcm - done >= piece || (all && s->n_pcm > done))) {
        size_t n = PN_MIN(piece, s->n_pcm - done);
        r = pn_scheduler_feed(s->engine->opt.scheduler, s->stream, s->pcm + done, n);
        done += r == 0 ? n : 0;
    }
    s->n_pcm -= done;
    if (s->n_pcm == 0)
        forget_samples(s);
    else if (done > 0)
        memmove(s->pcm, s->pcm + done, s->n_pcm * sizeof(*s->pcm));
    return r;
}

/* ---- bytes to samples ---- */

struct slice {
    const unsigned char *data;
    size_t n;
    int64_t at_us; /* when it came */
};

static struct slice peek(struct pn_live *s, bool *ret_end)
{
    struct slice slice = { 0 };
    pthread_mutex_lock(&s->mu);
    slice.n = pn_bytes_peek(&s->bytes, SLICE, &slice.data, &slice.at_us);
    *ret_end = slice.n == 0 && s->finish;
    pthread_mutex_unlock(&s->mu);
    return slice;
}

/* Samples behind those in `pcm` have been made of `n_bytes`. */
static void take_note(struct pn_live *s, size_t made, size_t n_bytes)
{
    s->n_pcm += made;
    atomic_fetch_add_explicit(&s->engine->n_samples, made, memory_order_relaxed);
    pthread_mutex_lock(&s->mu);
    s->n_samples += made;
    if (n_bytes)
        pn_bytes_drop(&s->bytes, n_bytes);
    if (s->paused && s->bytes.waiting <= PN_LIVE_HIGH / 2) {
        s->paused = false;
        s->news.room = true;
        pn_live_tell(s);
    }
    pthread_mutex_unlock(&s->mu);
}

static int convert(struct pn_live *s, const struct slice *slice)
{
    size_t made = 0;
    int r = s->intake ? 0 : pn_intake_new(s->format, s->rate, &s->intake, NULL);
    if (r == 0)
        r = make_room(s, pn_intake_room(s->intake, slice->n));
    if (r == 0)
        r = pn_intake_take(s->intake, slice->data, slice->n, s->pcm + s->n_pcm, &made);
    if (r == -PN_EFORMAT) {
        atomic_fetch_add_explicit(&s->engine->n_bad_packets, 1, memory_order_relaxed);
        r = 0;
    }
    take_note(s, made, slice->n);
    pn_arrivals_note(&s->arrivals, (int64_t)s->n_samples, slice->at_us);
    return r;
}

/* The filter's tail. */
static int convert_end(struct pn_live *s)
{
    if (!s->intake)
        return 0;
    size_t made = 0;
    int r = make_room(s, pn_intake_room(s->intake, 0));
    if (r == 0)
        r = pn_intake_end(s->intake, s->pcm + s->n_pcm, &made);
    take_note(s, made, 0);
    s->intake = pn_intake_free(s->intake);
    if (s->n_pcm == 0)
        forget_samples(s);
    return r;
}

/* ---- both ---- */

static int finish_stream(struct pn_live *s)
{
    int r = feed_pieces(s, true);
    if (r < 0)
        return r;
    s->state = PN_LIVE_FINISHED;
    return pn_scheduler_finish(s->engine->opt.scheduler, s->stream);
}

/* 1: a slice was taken; 0: there was none. */
static int hear_slice(struct pn_live *s)
{
    bool end;
    int r = feed_pieces(s, false);
    if (r < 0)
        return r;
    struct slice slice = peek(s, &end);
    if (slice.n > 0) {
        r = convert(s, &slice);
        return r < 0 ? r : 1;
    }
    if (!end)
        return 0;
    s->state = PN_LIVE_TAIL;
    r = convert_end(s);
    return r < 0 ? r : finish_stream(s);
}

static enum pn_hearing_outcome outcome(struct pn_live *s, int r)
{
    if (r == -PN_EFULL)
        return PN_HEARD_FULL;
    if (r >= 0)
        return r > 0 ? PN_HEARD_MORE : PN_HEARD_ALL;
    pn_live_end(s, r, NULL, NULL);
    return PN_HEARD_FAILED;
}

enum pn_hearing_outcome pn_live_hear(struct pn_live *s)
{
    int r = 1;
    if (s->state == PN_LIVE_TAIL)
        return outcome(s, finish_stream(s));
    for (int i = 0; r > 0 && i < TURN_SLICES && s->state == PN_LIVE_HEARING; i++)
        r = hear_slice(s);
    return outcome(s, r);
}
