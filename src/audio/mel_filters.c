/* mel_filters.c - mel filters computed in double and kept sparse: a bin lies under two filters at most (specs
 * whisper 1.3, paraformer 1.2). */
#include "audio/mel_filters.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

/* Weight of bin `bin` in filter m of n. */
typedef double weight_fn(int bin, int m, int n);

static const double TOP_HZ = 8000;

static double triangle(double x, double low, double peak, double high)
{
    return fmax(0, fmin((x - low) / (peak - low), (high - x) / (high - peak)));
}

/* Linear below 1000 Hz, logarithmic above. */
static double slaney_mel(double hz)
{
    return hz < 1000 ? hz * 3 / 200 : 15 + log(hz / 1000) * 27 / log(6.4);
}

static double slaney_hz(double mel)
{
    return mel < 15 ? mel * 200 / 3 : 1000 * exp(log(6.4) / 27 * (mel - 15));
}

/* Corner i of the n + 2 that lie evenly on the mel scale; filter m rises from corner m and ends at m + 2. */
static double slaney_corner(int i, int n)
{
    return slaney_hz(slaney_mel(TOP_HZ) * i / (n + 1));
}

/* Straight edges over Hz. */
static double slaney_weight(int bin, int m, int n)
{
    double low = slaney_corner(m, n), high = slaney_corner(m + 2, n);
    return triangle(40.0 * bin, low, slaney_corner(m + 1, n), high) * 2 / (high - low);
}

static double kaldi_mel(double hz)
{
    return 1127 * log(1 + hz / 700);
}

/* Straight edges over mel. */
static double kaldi_weight(int bin, int m, int n)
{
    double step = (kaldi_mel(TOP_HZ) - kaldi_mel(20)) / (n + 1), low = kaldi_mel(20) + m * step;
    return triangle(kaldi_mel(31.25 * bin), low, low + step, low + 2 * step);
}

static int fill(struct pn_mel_filters *f, int m, int bins, weight_fn *weight, int offset)
{
    struct pn_mel_filter *out = &f->filter[m];
    *out = (struct pn_mel_filter){ .offset = offset };
    for (int k = 0; k < bins; k++) {
        double w = weight(k, m, f->n);
        if (w <= 0)
            continue;
        if (out->n == 0)
            out->first = k;
        f->weight[offset + out->n++] = (float)w;
    }
    return offset + out->n;
}

static int init(struct pn_mel_filters *f, int n, int bins, weight_fn *weight)
{
    *f = (struct pn_mel_filters){ .n = n };
    f->filter = calloc((size_t)n, sizeof(*f->filter));
    f->weight = calloc(2 * (size_t)bins, sizeof(*f->weight));
    if (!f->filter || !f->weight) {
        pn_mel_filters_done(f);
        return -PN_ENOMEM;
    }
    int offset = 0;
    for (int m = 0; m < n; m++)
        offset = fill(f, m, bins, weight, offset);
    return 0;
}

int pn_mel_filters_slaney(struct pn_mel_filters *f, int n)
{
    return init(f, n, 201, slaney_weight);
}

int pn_mel_filters_kaldi(struct pn_mel_filters *f, int n)
{
    return init(f, n, 256, kaldi_weight);
}

void pn_mel_filters_done(struct pn_mel_filters *f)
{
    free(f->filter);
    free(f->weight);
    *f = (struct pn_mel_filters){ 0 };
}

void pn_mel_filters_apply(const struct pn_mel_filters *f, const pn_lanes *power, pn_lanes *energy)
{
    for (int m = 0; m < f->n; m++) {
        const struct pn_mel_filter *t = &f->filter[m];
        const float *w = f->weight + t->offset;
        const pn_lanes *p = power + t->first;
        pn_lanes sum = { 0 };
        for (int i = 0; i < t->n; i++)
            sum += p[i] * w[i];
        energy[m] = sum;
    }
}
