/* whispercpp.c - see whispercpp.h. The steps have the numbers of spec silero-vad 4; 0 means unset. */
#include "asr/vad/whispercpp.h"

#include "base/attr.h"

#include <stdbool.h>

enum { WINDOW = 512, PAUSE = 1568, NEAR = 3200 };

struct walk {
    int64_t min_speech, min_silence, max_speech;
    float threshold, silence;
    struct pn_whispercpp_segment *segments;
    size_t n;
    bool in_speech;
    int64_t start, temp_end, prev_end, next_start;
};

static void emit(struct walk *w, int64_t end)
{
    w->segments[w->n++] = (struct pn_whispercpp_segment){ w->start, end };
}

static void clear(struct walk *w)
{
    w->temp_end = w->prev_end = w->next_start = 0;
}

/* 3: too long. True: the window is done with. */
static bool cut(struct walk *w, int64_t s)
{
    if (w->prev_end == 0) {
        emit(w, s);
        clear(w);
        w->in_speech = false;
        return true;
    }
    emit(w, w->prev_end);
    if (w->next_start < w->prev_end)
        w->in_speech = false;
    else
        w->start = w->next_start;
    clear(w);
    return false;
}

/* 4 */
static void be_quiet(struct walk *w, int64_t s)
{
    if (w->temp_end == 0)
        w->temp_end = s;
    if (s - w->temp_end > PAUSE)
        w->prev_end = w->temp_end;
    if (s - w->temp_end < w->min_silence)
        return;
    if (w->temp_end - w->start > w->min_speech)
        emit(w, w->temp_end);
    clear(w);
    w->in_speech = false;
}

static void step(struct walk *w, float p, int64_t s)
{
    bool speech = p >= w->threshold;
    if (speech && w->temp_end != 0) {
        w->temp_end = 0;
        if (w->next_start < w->prev_end)
            w->next_start = s;
    }
    if (speech && !w->in_speech) {
        w->in_speech = true;
        w->start = s;
        return;
    }
    if (w->in_speech && s - w->start > w->max_speech && cut(w, s))
        return;
    if (p < w->silence && w->in_speech)
        be_quiet(w, s);
}

/* Joins neighbours, then drops what is too short. */
static size_t merge(struct pn_whispercpp_segment *seg, size_t n, int64_t min_speech)
{
    size_t joined = 0, kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (joined > 0 && seg[i].start - seg[joined - 1].end < NEAR)
            seg[joined - 1].end = seg[i].end;
        else
            seg[joined++] = seg[i];
    }
    for (size_t i = 0; i < joined; i++)
        if (seg[i].end - seg[i].start >= min_speech)
            seg[kept++] = seg[i];
    return kept;
}

static void pad_all(struct pn_whispercpp_segment *seg, size_t n, int64_t pad, int64_t length)
{
    for (size_t i = 0; i < n; i++) {
        if (i == 0)
            seg[0].start = PN_MAX(seg[0].start - pad, 0);
        if (i + 1 == n) {
            seg[i].end = PN_MIN(seg[i].end + pad, length);
            return;
        }
        int64_t gap = seg[i + 1].start - seg[i].end, share = gap < 2 * pad ? gap / 2 : pad;
        seg[i].end = PN_MIN(seg[i].end + share, length);
        seg[i + 1].start = PN_MAX(seg[i + 1].start - share, 0);
    }
}

static int64_t longest(float max_speech_s, int64_t pad)
{
    int64_t n = max_speech_s > 100000 ? -1 : 16000 * (int64_t)max_speech_s - WINDOW - 2 * pad;
    return n < 0 ? INT64_MAX : n;
}

size_t pn_whispercpp_segments(const struct pn_whispercpp_options *opt, const float *p, size_t n,
                              struct pn_whispercpp_segment *ret)
{
    int64_t pad = 16 * (int64_t)opt->pad_ms, length = WINDOW * (int64_t)n;
    struct walk w = {
        .min_speech = 16 * (int64_t)opt->min_speech_ms,
        .min_silence = 16 * (int64_t)opt->min_silence_ms,
        .max_speech = longest(opt->max_speech_s, pad),
        .threshold = opt->threshold,
        .silence = PN_MAX(opt->threshold - 0.15F, 0.01F),
        .segments = ret,
    };
    for (size_t i = 0; i < n; i++)
        step(&w, p[i], WINDOW * (int64_t)i);
    if (w.in_speech && length - w.start > w.min_speech)
        emit(&w, length);
    size_t kept = merge(ret, w.n, w.min_speech);
    pad_all(ret, kept, pad, length);
    return kept;
}

int64_t pn_whispercpp_centiseconds(int64_t samples)
{
    return (int64_t)((float)samples / 16000 * 100 + 0.5F);
}
