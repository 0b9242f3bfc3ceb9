/* cutter.c - see cutter.h.
 *
 * An end that the detector knows is held back until it is clear that the segment is not too long before it:
 * then cuts at pauses come first. */
#include "asr/pipeline/cutter.h"

#include "asr/vad/pause.h"
#include "audio/decoder.h"

enum { LATE = 2 * PN_SAMPLE_RATE }; /* no detector takes longer to find an end */

int pn_cutter_init(struct pn_cutter *c, enum pn_cut how, const struct pn_vad_model *model,
                   const struct pn_vad_options *opt, int64_t limit)
{
    *c = (struct pn_cutter){ .how = how, .limit = limit };
    return how == PN_CUT_VAD ? pn_vad_new(model, opt, &c->vad) : 0;
}

void pn_cutter_done(struct pn_cutter *c)
{
    c->vad = pn_vad_free(c->vad);
}

int pn_cutter_hear(struct pn_cutter *c, const float *pcm, size_t n)
{
    int r = c->vad ? pn_vad_feed(c->vad, pcm, n) : 0;
    if (r == 0)
        c->heard += (int64_t)n;
    return r;
}

int pn_cutter_end(struct pn_cutter *c)
{
    c->ended = true;
    return c->vad ? pn_vad_end(c->vad) : 0;
}

/* An end behind what was heard, a start before the last end: a detector's rounding. */
static int64_t inside(const struct pn_cutter *c, int64_t sample)
{
    return PN_MIN(PN_MAX(sample, c->start), c->heard);
}

static bool find_start(struct pn_cutter *c, struct pn_vad_event *ret)
{
    struct pn_vad_event e = { true, c->start };
    if (c->how != PN_CUT_VAD) {
        if (c->heard == c->start)
            return false;
    } else if (!c->resume && (!pn_vad_next(c->vad, &e) || !e.start)) {
        return false;
    }
    c->start = inside(c, e.sample);
    c->open = true;
    c->resume = false;
    *ret = (struct pn_vad_event){ true, c->start };
    return true;
}

static void find_end(struct pn_cutter *c)
{
    struct pn_vad_event e;
    if (c->end_known)
        return;
    if (c->how != PN_CUT_VAD) {
        c->end_known = c->ended;
        c->end = c->heard;
    } else if (pn_vad_next(c->vad, &e)) {
        c->end_known = true;
        c->end = inside(c, e.sample);
    }
}

/* Up to where the open segment is sure to go on. */
static int64_t speech_until(const struct pn_cutter *c)
{
    if (c->end_known)
        return c->end;
    return c->how == PN_CUT_VAD ? PN_MAX(pn_vad_settled(c->vad), c->heard - LATE) : c->heard;
}

static struct pn_vad_event close_at(struct pn_cutter *c, int64_t sample, bool resume)
{
    c->open = false;
    c->start = sample;
    c->resume = resume;
    return (struct pn_vad_event){ false, sample };
}

bool pn_cutter_next(struct pn_cutter *c, const struct pn_track *track, struct pn_vad_event *ret)
{
    if (!c->open)
        return find_start(c, ret);
    find_end(c);
    if (c->limit && speech_until(c) - c->start > c->limit) {
        const float *pcm = pn_track_at(track, c->start);
        size_t n = (size_t)c->limit;
        *ret = close_at(c, c->start + (int64_t)pn_pause_cut(pcm, n, n / 2), true);
        return true;
    }
    if (!c->end_known)
        return false;
    c->end_known = false;
    *ret = close_at(c, c->end, false);
    return true;
}

int64_t pn_cutter_needs(const struct pn_cutter *c)
{
    if (c->open || c->resume)
        return c->limit ? c->start : c->heard;
    return c->how == PN_CUT_VAD ? PN_MIN(pn_vad_settled(c->vad), c->heard) : c->heard;
}
