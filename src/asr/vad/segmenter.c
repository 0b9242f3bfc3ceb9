/* segmenter.c - see segmenter.h. The steps of a frame have the numbers of spec silero-vad 4. */
#include "asr/vad/segmenter.h"

#include <string.h>

int64_t pn_segmenter_longest(int max_ms, int64_t pad, int frame)
{
    int64_t n = max_ms ? (int64_t)max_ms * 16 : PN_SEGMENTER_LONGEST;
    return PN_MAX(n - frame - 2 * pad, 1);
}

void pn_segmenter_init(struct pn_segmenter *s, const struct pn_segmenter_options *opt,
                       struct pn_vad_events *events)
{
    memset(s, 0, sizeof(*s));
    s->opt = *opt;
    s->events = events;
}

/* Where the next segment may begin at the earliest, unpadded. */
static int64_t earliest_start(const struct pn_segmenter *s)
{
    return s->in_speech ? s->start : s->at;
}

/* The end that waits takes its whole padding, once nothing can come near. */
static void tell_end(struct pn_segmenter *s)
{
    if (!s->end_waits || earliest_start(s) < s->end + 2 * s->opt.pad)
        return;
    pn_vad_events_put(s->events, false, s->end + s->opt.pad);
    s->end_waits = false;
}

/* Two segments nearer than two pads share the gap between them. */
static void tell_start(struct pn_segmenter *s)
{
    int64_t gap = s->end_waits ? s->start - s->end : INT64_MAX, pad = PN_MIN(s->opt.pad, gap / 2);
    if (s->told)
        return;
    if (s->end_waits)
        pn_vad_events_put(s->events, false, s->end + pad);
    pn_vad_events_put(s->events, true, PN_MAX(s->start - pad, 0));
    s->end_waits = false;
    s->told = true;
}

static void leave(struct pn_segmenter *s)
{
    s->in_speech = s->told = false;
    s->quiet_from = 0;
    s->n_silences = 0;
}

static void end_segment(struct pn_segmenter *s, int64_t end)
{
    tell_start(s);
    s->end = end;
    s->end_waits = true;
}

/* 1: speech goes on after a silence. */
static void go_on(struct pn_segmenter *s)
{
    int64_t n = s->at - s->quiet_from;
    if (n > PN_SEGMENTER_PAUSE && s->opt.max_speech != PN_SEGMENTER_ENDLESS &&
        s->n_silences < PN_SEGMENTER_SILENCES)
        s->silence[s->n_silences++] = (struct pn_segmenter_silence){ s->quiet_from, n };
    s->quiet_from = 0;
}

/* The segment ends at its longest silence, the first of equals; another goes on behind it. */
static void cut_at_silence(struct pn_segmenter *s)
{
    int longest = 0;
    for (int i = 1; i < s->n_silences; i++)
        if (s->silence[i].n > s->silence[longest].n)
            longest = i;
    struct pn_segmenter_silence cut = s->silence[longest];
    end_segment(s, cut.from);
    s->n_silences -= longest + 1;
    memmove(s->silence, s->silence + longest + 1, (size_t)s->n_silences * sizeof(*s->silence));
    s->start = cut.from + cut.n;
    s->quiet_from = 0;
    s->told = false;
}

/* 4: silence, which ends the segment once it lasts. */
static void be_quiet(struct pn_segmenter *s)
{
    if (!s->quiet_from)
        s->quiet_from = s->at;
    if (s->at - s->quiet_from < s->opt.min_silence)
        return;
    if (s->quiet_from - s->start > s->opt.min_speech)
        end_segment(s, s->quiet_from);
    leave(s);
}

static void step(struct pn_segmenter *s, double p)
{
    bool speech = p >= s->opt.threshold;
    if (speech && s->quiet_from)
        go_on(s);
    if (speech && !s->in_speech) {
        s->in_speech = true;
        s->start = s->at;
        return;
    }
    if (s->in_speech && s->at - s->start > s->opt.max_speech) { /* 3 */
        if (s->n_silences == 0) {
            end_segment(s, s->at);
            leave(s);
            return;
        }
        cut_at_silence(s);
    }
    if (s->in_speech && p < s->opt.silence)
        be_quiet(s);
}

void pn_segmenter_feed(struct pn_segmenter *s, double p, int64_t until)
{
    step(s, p);
    s->at += s->opt.frame;
    if (s->in_speech && (s->quiet_from ? s->quiet_from : until) - s->start > s->opt.min_speech)
        tell_start(s);
    tell_end(s);
}

void pn_segmenter_end(struct pn_segmenter *s, int64_t n)
{
    if (s->in_speech && n - s->start > s->opt.min_speech)
        end_segment(s, n);
    leave(s);
    if (s->end_waits)
        pn_vad_events_put(s->events, false, PN_MIN(s->end + s->opt.pad, n));
    s->end_waits = false;
}

int64_t pn_segmenter_settled(const struct pn_segmenter *s)
{
    int64_t next = s->at;
    if (s->end_waits)
        next = s->end;
    else if (!s->in_speech || !s->told)
        next = earliest_start(s) - s->opt.pad;
    else if (s->n_silences > 0)
        next = s->silence[0].from;
    else if (s->quiet_from)
        next = s->quiet_from;
    return PN_MAX(next, s->events->last);
}
