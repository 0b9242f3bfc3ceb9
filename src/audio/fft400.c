/* fft400.c - a 400-point real transform as a 200-point complex one over even and odd samples, then split.
 *
 * 200 = 4 * 5 * 5 * 2 as passes of fft_lanes.h. */
#include "audio/fft400.h"

#include <math.h>

void pn_fft400_init(struct pn_fft400 *t)
{
    for (int i = 0; i < PN_FFT_SIZE; i++)
        t->window[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * i / PN_FFT_SIZE));
    for (int i = 0; i < PN_FFT_HALF; i++) {
        t->cos200[i] = (float)cos(2 * M_PI * i / PN_FFT_HALF);
        t->sin200[i] = (float)sin(2 * M_PI * i / PN_FFT_HALF);
    }
    for (int i = 0; i < PN_FFT_BINS; i++) {
        t->cos400[i] = (float)cos(2 * M_PI * i / PN_FFT_SIZE);
        t->sin400[i] = (float)sin(2 * M_PI * i / PN_FFT_SIZE);
    }
}

/* One butterfly of five. With C1 = cos(2 pi / 5) and so on: output k is x0 + the even parts (x1 + x4),
 * (x2 + x3) times cosines, plus -i times the odd parts (x1 - x4), (x2 - x3) times sines. */
static inline void butterfly5(const struct pn_fft_complex x[5], struct pn_fft_complex y[5])
{
    const float c1 = 0.309016994374947424F, c2 = -0.809016994374947424F;
    const float s1 = 0.951056516295153572F, s2 = 0.587785252292473129F;
    struct pn_fft_complex e1 = pn_fft_add(x[1], x[4]), e2 = pn_fft_add(x[2], x[3]);
    struct pn_fft_complex o1 = pn_fft_sub(x[1], x[4]), o2 = pn_fft_sub(x[2], x[3]);
    struct pn_fft_complex a = { x[0].re + e1.re * c1 + e2.re * c2, x[0].im + e1.im * c1 + e2.im * c2 };
    struct pn_fft_complex b = { x[0].re + e1.re * c2 + e2.re * c1, x[0].im + e1.im * c2 + e2.im * c1 };
    struct pn_fft_complex c =
        pn_fft_times_minus_i((struct pn_fft_complex){ o1.re * s1 + o2.re * s2, o1.im * s1 + o2.im * s2 });
    struct pn_fft_complex d =
        pn_fft_times_minus_i((struct pn_fft_complex){ o1.re * s2 - o2.re * s1, o1.im * s2 - o2.im * s1 });
    y[0] = pn_fft_add(x[0], pn_fft_add(e1, e2));
    y[1] = pn_fft_add(a, c);
    y[2] = pn_fft_add(b, d);
    y[3] = pn_fft_sub(b, d);
    y[4] = pn_fft_sub(a, c);
}

static void pass5(struct pn_fft_pass ps, const struct pn_fft_complex *x, struct pn_fft_complex *y)
{
    int s = ps.s, m = ps.n / 5;
    for (int p = 0; p < m; p++)
        for (int q = 0; q < s; q++) {
            const struct pn_fft_complex *in = x + q + s * p;
            struct pn_fft_complex *out = y + q + s * 5 * p;
            struct pn_fft_complex a[5] = { in[0], in[s * m], in[2 * s * m], in[3 * s * m], in[4 * s * m] },
                                  b[5];
            butterfly5(a, b);
            out[0] = b[0];
            for (int k = 1; k < 5; k++)
                out[k * s] = pn_fft_turn(ps, b[k], k * p * s);
        }
}

/* The last pass: n is 2, so all factors are 1. */
static void pass2(const struct pn_fft_complex *x, struct pn_fft_complex *y)
{
    for (int q = 0; q < PN_FFT_HALF / 2; q++) {
        y[q] = pn_fft_add(x[q], x[q + PN_FFT_HALF / 2]);
        y[q + PN_FFT_HALF / 2] = pn_fft_sub(x[q], x[q + PN_FFT_HALF / 2]);
    }
}

static void load(const struct pn_fft400 *t, const float *x, size_t hop, struct pn_fft_complex z[PN_FFT_HALF])
{
    for (int i = 0; i < PN_FFT_HALF; i++) {
        const float *a = x + 2 * i, *b = a + hop, *c = b + hop, *d = c + hop;
        z[i].re = (pn_lanes){ a[0], b[0], c[0], d[0] } * t->window[2 * i];
        z[i].im = (pn_lanes){ a[1], b[1], c[1], d[1] } * t->window[2 * i + 1];
    }
}

void pn_fft400_power(const struct pn_fft400 *t, const float *samples, size_t hop, pn_lanes power[PN_FFT_BINS])
{
    struct pn_fft_complex a[PN_FFT_HALF], b[PN_FFT_HALF];
    load(t, samples, hop, a);
    pn_fft_pass4((struct pn_fft_pass){ t->cos200, t->sin200, 200, 1 }, a, b);
    pass5((struct pn_fft_pass){ t->cos200, t->sin200, 50, 4 }, b, a);
    pass5((struct pn_fft_pass){ t->cos200, t->sin200, 10, 20 }, a, b);
    pass2(b, a);
    pn_fft_split(PN_FFT_HALF, t->cos400, t->sin400, a, power);
}
