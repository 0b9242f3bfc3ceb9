/* stamps.c - see stamps.h. Times are doubles, computed in the reference's order, because 0.45 s times 1000 is
 * 449 ms in it. */
#include "asr/paraformer/stamps.h"

#include <math.h>

static const float FIRES_AT = (float)(1.0 - 1e-4);
static const double SHIFT = -1.5; /* steps: a fire comes that much after what it stands for */
static const double EDGE = 5;     /* steps: a longer gap before the first or after the last fire is silence */
static const double LONGEST = 12; /* steps: a longer token is cut there, silence follows */

/* Walks over the fires: by the given peaks (scale 0), or by integrating the scaled weights. */
struct walk {
    const struct pn_fires *f;
    float scale;
    size_t at; /* next step */
    float sum;
};

static float add_alpha(float *sum, float alpha)
{
    float peak = *sum + alpha;
    *sum = peak >= FIRES_AT ? peak - FIRES_AT : peak;
    return peak;
}

/* The step where the next fire is, shifted; false when there is none left. */
static bool next_fire(struct walk *w, double *ret)
{
    while (w->at < w->f->n_steps) {
        size_t t = w->at++;
        float peak = w->scale > 0 ? add_alpha(&w->sum, w->f->alphas[t] / w->scale) : w->f->peaks[t];
        if (peak >= FIRES_AT) {
            *ret = (double)t + SHIFT;
            return true;
        }
    }
    return false;
}

static size_t count_fires(struct walk w)
{
    size_t n = 0;
    for (double at; next_fire(&w, &at);)
        n++;
    return n;
}

static struct walk begin_walk(const struct pn_fires *f, size_t n_tokens)
{
    struct walk given = { .f = f };
    if (count_fires(given) == n_tokens + 1)
        return given;
    double sum = 0;
    for (size_t t = 0; t < f->n_steps; t++)
        sum += f->alphas[t];
    float scale = (float)sum / (float)(n_tokens + 1);
    return isfinite(scale) && scale > 0 ? (struct walk){ .f = f, .scale = scale } : given;
}

/* What turns steps into milliseconds. */
struct clock {
    double rate, offset; /* seconds a step; seconds */
};

static int64_t to_ms(const struct clock *c, double step)
{
    double s = step * c->rate;
    if (c->offset != 0)
        s += c->offset;
    return (int64_t)fmax(s * 1000, 0);
}

static struct pn_stamp stamp_of(const struct clock *c, double begin, double end)
{
    return (struct pn_stamp){ to_ms(c, begin), to_ms(c, end) };
}

void pn_paraformer_stamps(const struct pn_fires *f, int64_t offset_ms, size_t n_tokens,
                          struct pn_stamp *stamp)
{
    struct clock c = { 10.0 * 6 / 1000 / f->upsample, (double)offset_ms / 1000.0 };
    struct walk w = begin_walk(f, n_tokens);
    double steps = (double)f->n_steps, from = 0, to;
    bool cut = false; /* silence follows the last token */
    size_t n = 0;
    next_fire(&w, &from);
    for (; n < n_tokens && next_fire(&w, &to); from = to) {
        cut = to - from > LONGEST;
        stamp[n++] = stamp_of(&c, from, cut ? from + LONGEST : to);
    }
    if (n > 0 && !cut)
        stamp[n - 1].end = to_ms(&c, steps - from > EDGE ? (steps + from) * 0.5 : steps);
    for (int64_t end = n > 0 ? stamp[n - 1].end : to_ms(&c, steps); n < n_tokens; n++)
        stamp[n] = (struct pn_stamp){ end, end };
}

void pn_paraformer_peaks(const float *alphas, size_t n_steps, float *peaks)
{
    float sum = 0;
    for (size_t t = 0; t < n_steps; t++)
        peaks[t] = add_alpha(&sum, alphas[t]);
}
