/* mel_filters.c - Slaney's mel scale and area normalisation, computed in double (spec whisper 1.3), kept
 * sparse: a bin lies under two filters at most. */
#include "audio/mel_filters.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

static const double BIN_HZ = 40, TOP_HZ = 8000;

/* Linear below 1000 Hz, logarithmic above. */
static double to_mel(double hz)
{
    return hz < 1000 ? hz * 3 / 200 : 15 + log(hz / 1000) * 27 / log(6.4);
}

static double to_hz(double mel)
{
    return mel < 15 ? mel * 200 / 3 : 1000 * exp(log(6.4) / 27 * (mel - 15));
}

/* Corner i of the n + 2 that lie evenly on the mel scale; filter m rises from corner m and ends at m + 2. */
static double corner(int i, int n)
{
    return to_hz(to_mel(TOP_HZ) * i / (n + 1));
}

static double weight_at(int bin, double low, double peak, double high)
{
    double hz = BIN_HZ * bin, up = (hz - low) / (peak - low), down = (high - hz) / (high - peak);
    return fmax(0, fmin(up, down)) * 2 / (high - low);
}

static int fill(struct pn_mel_filters *f, int m, int offset)
{
    double low = corner(m, f->n), peak = corner(m + 1, f->n), high = corner(m + 2, f->n);
    struct pn_mel_filter *out = &f->filter[m];
    *out = (struct pn_mel_filter){ .offset = offset };
    for (int k = 0; k < PN_FFT_BINS; k++) {
        double w = weight_at(k, low, peak, high);
        if (w <= 0)
            continue;
        if (out->n == 0)
            out->first = k;
        f->weight[offset + out->n++] = (float)w;
    }
    return offset + out->n;
}

int pn_mel_filters_init(struct pn_mel_filters *f, int n)
{
    *f = (struct pn_mel_filters){ .n = n };
    f->filter = calloc((size_t)n, sizeof(*f->filter));
    f->weight = calloc(2 * PN_FFT_BINS, sizeof(*f->weight));
    if (!f->filter || !f->weight) {
        pn_mel_filters_done(f);
        return -PN_ENOMEM;
    }
    int offset = 0;
    for (int m = 0; m < n; m++)
        offset = fill(f, m, offset);
    return 0;
}

void pn_mel_filters_done(struct pn_mel_filters *f)
{
    free(f->filter);
    free(f->weight);
    *f = (struct pn_mel_filters){ 0 };
}

void pn_mel_filters_apply(const struct pn_mel_filters *f, const pn_lanes power[PN_FFT_BINS], pn_lanes *energy)
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
