/* hallucination.c - see hallucination.h. */
#include "asr/whisper/hallucination.h"

#include "asr/whisper/words.h"

#include <math.h>
#include <string.h>

static double seconds(int64_t frames)
{
    return (double)frames / 100;
}

static int64_t frames(double s)
{
    return (int64_t)nearbyint(s * 100);
}

double pn_last_word_end(const struct pn_slices *slices)
{
    for (size_t i = slices->n; i-- > 0;)
        if (slices->drafts[i].n_words > 0)
            return slices->drafts[i].words[slices->drafts[i].n_words - 1].end;
    return slices->n > 0 ? slices->drafts[slices->n - 1].end : NAN;
}

static double anomaly(const struct pn_word *w)
{
    double duration = w->end - w->start, score = 0;
    if (w->confidence < 0.15)
        score += 1;
    if (duration < 0.133)
        score += (0.133 - duration) * 15;
    if (duration > 2)
        score += duration - 2;
    return score;
}

/* A substring of the opening marks followed by the closing ones. */
static bool is_mark(const char *text)
{
    char both[64];
    size_t n_open = strlen(pn_opening_marks), n = n_open + strlen(pn_closing_marks);
    memcpy(both, pn_opening_marks, n_open);
    memcpy(both + n_open, pn_closing_marks, n - n_open);
    return memmem(both, n, text, strlen(text)) != NULL;
}

bool pn_is_anomalous(const struct pn_draft *d)
{
    enum { LOOKED_AT = 8 };
    double score = 0;
    int n = 0;
    for (size_t i = 0; i < d->n_words && n < LOOKED_AT; i++)
        if (!is_mark(d->words[i].text)) {
            score += anomaly(&d->words[i]);
            n++;
        }
    return d->n_words > 0 && (score >= 3 || score + 0.01 >= n);
}

/* Index of the next segment with words at or after i; n when there is none. */
static size_t next_spoken(const struct pn_slices *s, size_t i)
{
    while (i < s->n && s->drafts[i].n_words == 0)
        i++;
    return i;
}

/* A segment of the window with its surroundings. */
static bool between_silences(const struct pn_hallucination *h, const struct pn_slices *s, size_t i,
                             double hal_last)
{
    const struct pn_draft *d = &s->drafts[i];
    double offset = seconds(h->span.seek), window_end = seconds(h->span.seek + h->window_frames);
    size_t next = next_spoken(s, i + 1);
    bool more = next < s->n;
    double next_start = more ? s->drafts[next].words[0].start : offset + seconds(h->span.size);
    bool before = d->start - hal_last > h->threshold || d->start < h->threshold || d->start - offset < 2;
    bool after = next_start - d->end > h->threshold || (more && pn_is_anomalous(&s->drafts[next])) ||
                 window_end - d->end < 2;
    return before && after;
}

static void drop_invented(const struct pn_hallucination *h, struct pn_slices *s)
{
    double hal_last = h->last_speech;
    for (size_t i = next_spoken(s, 0); i < s->n; i = next_spoken(s, i + 1)) {
        const struct pn_draft *d = &s->drafts[i];
        if (pn_is_anomalous(d) && between_silences(h, s, i, hal_last)) {
            s->seek = frames(PN_MAX(seconds(h->span.seek) + 1, d->start));
            if (seconds(h->content_frames) - d->end < h->threshold)
                s->seek = h->content_frames;
            s->n = i;
            return;
        }
        hal_last = d->end;
    }
}

bool pn_hallucination_skip(const struct pn_hallucination *h, struct pn_slices *s)
{
    double offset = seconds(h->span.seek), window_end = seconds(h->span.seek + h->window_frames);
    double end = pn_last_word_end(s);
    bool on = !isnan(h->threshold);
    if (!s->single_ending && end > offset) {
        s->seek = frames(end);
        if (on && !(window_end - end > h->threshold))
            s->seek = h->span.seek + h->span.size;
    }
    if (!on)
        return false;
    size_t first = next_spoken(s, 0);
    if (first < s->n && pn_is_anomalous(&s->drafts[first])) {
        double gap = s->drafts[first].start - offset;
        if (gap > h->threshold) {
            s->seek = h->span.seek + frames(gap);
            s->n = 0;
            return true;
        }
    }
    drop_invented(h, s);
    return false;
}
