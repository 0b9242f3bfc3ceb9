/* fbank.c - the tables of Kaldi's filter bank and the way of four frames through them: mean, pre-emphasis,
 * window, transform, power, filters, logarithm (spec paraformer 1.2). Immutable after new; any thread. */
#include "audio/fbank_front.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STACK = 16 };

static void fill_window(float window[PN_FBANK_WINDOW], bool povey)
{
    for (int i = 0; i < PN_FBANK_WINDOW; i++) {
        double c = cos(2 * M_PI * i / (PN_FBANK_WINDOW - 1));
        window[i] = (float)(povey ? pow(0.5 - 0.5 * c, 0.85) : 0.54 - 0.46 * c);
    }
}

static float *copy_of(const float *values, size_t n)
{
    float *copy = malloc(n * sizeof(*copy));
    if (copy)
        memcpy(copy, values, n * sizeof(*copy));
    return copy;
}

static int fill(struct pn_fbank *f, const struct pn_fbank_options *opt)
{
    size_t width = (size_t)opt->lfr_m * (size_t)opt->n_mels;
    f->n_mels = opt->n_mels;
    f->lfr_m = opt->lfr_m;
    f->lfr_n = opt->lfr_n;
    fill_window(f->window, opt->povey);
    pn_fft512_init(&f->fft);
    int r = pn_mel_filters_kaldi(&f->filters, opt->n_mels);
    if (r < 0 || !opt->shift)
        return r;
    f->shift = copy_of(opt->shift, width);
    f->scale = copy_of(opt->scale, width);
    return f->shift && f->scale ? 0 : -PN_ENOMEM;
}

static bool valid(const struct pn_fbank_options *opt)
{
    return opt->n_mels >= 1 && opt->n_mels <= PN_FBANK_MAX_BINS && opt->lfr_m >= 1 &&
           opt->lfr_m <= MAX_STACK && opt->lfr_n >= 1 && opt->lfr_n <= MAX_STACK &&
           !opt->shift == !opt->scale;
}

int pn_fbank_new(const struct pn_fbank_options *opt, struct pn_fbank **ret)
{
    if (!valid(opt))
        return -PN_EINVAL;
    struct pn_fbank *f = calloc(1, sizeof(*f));
    int r = f ? fill(f, opt) : -PN_ENOMEM;
    if (r < 0) {
        pn_fbank_free(f);
        return r;
    }
    *ret = f;
    return 0;
}

struct pn_fbank *pn_fbank_free(struct pn_fbank *f)
{
    if (f) {
        pn_mel_filters_done(&f->filters);
        free(f->shift);
        free(f->scale);
    }
    free(f);
    return NULL;
}

int pn_fbank_width(const struct pn_fbank *f)
{
    return f->lfr_m * f->n_mels;
}

/* Sample i of the four frames, less their means. */
static void load(const float *samples, pn_lanes x[PN_FBANK_WINDOW])
{
    pn_lanes sum = { 0 };
    for (int i = 0; i < PN_FBANK_WINDOW; i++) {
        const float *a = samples + i, *b = a + PN_FBANK_HOP, *c = b + PN_FBANK_HOP, *d = c + PN_FBANK_HOP;
        x[i] = (pn_lanes){ a[0], b[0], c[0], d[0] };
        sum += x[i];
    }
    pn_lanes mean = sum / (float)PN_FBANK_WINDOW;
    for (int i = 0; i < PN_FBANK_WINDOW; i++)
        x[i] -= mean;
}

/* Even samples are the real parts, odd ones the imaginary parts; zeros behind the window. */
static void window_frames(const struct pn_fbank *f, const pn_lanes x[PN_FBANK_WINDOW],
                          struct pn_fft_complex z[PN_FFT512_HALF])
{
    const float preemphasis = 0.97F;
    memset(z, 0, PN_FFT512_HALF * sizeof(*z));
    for (int i = 0; i < PN_FBANK_WINDOW; i += 2) {
        z[i / 2].re = (x[i] - preemphasis * x[i ? i - 1 : 0]) * f->window[i];
        z[i / 2].im = (x[i + 1] - preemphasis * x[i]) * f->window[i + 1];
    }
}

void pn_fbank_frames(const struct pn_fbank *f, const float *samples, int n, float *out)
{
    pn_lanes x[PN_FBANK_WINDOW], power[PN_FFT512_BINS], energy[PN_FBANK_MAX_BINS];
    struct pn_fft_complex z[PN_FFT512_HALF];
    load(samples, x);
    window_frames(f, x, z);
    pn_fft512_power(&f->fft, z, power);
    pn_mel_filters_apply(&f->filters, power, energy);
    for (int l = 0; l < n; l++)
        for (int b = 0; b < f->n_mels; b++)
            *out++ = logf(energy[b][l] > FLT_EPSILON ? energy[b][l] : FLT_EPSILON);
}
