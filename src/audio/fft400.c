/* fft400.c - a 400-point real transform as a 200-point complex one over even and odd samples, then split.
 *
 * 200 = 4 * 5 * 5 * 2 as Stockham passes (decimation in frequency): each pass reads one array and writes the
 * other in the order that the next wants, so there is no bit reversal. A pass of radix r on groups of n
 * points that lie s apart: with m = n / r, inputs p + m j (j < r) give outputs r p + k (k < r), times W_n^(p
 * k). */
#include "audio/fft400.h"

#include <math.h>

struct complex_lanes {
    pn_lanes re, im;
};

struct pass {
    const struct pn_fft400 *t;
    int n, s;
};

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

/* a * W_200^i, W = exp(-2 pi i / 200) */
static inline struct complex_lanes turn(const struct pn_fft400 *t, struct complex_lanes a, int i)
{
    float c = t->cos200[i], s = t->sin200[i];
    return (struct complex_lanes){ a.re * c + a.im * s, a.im * c - a.re * s };
}

static inline struct complex_lanes add(struct complex_lanes a, struct complex_lanes b)
{
    return (struct complex_lanes){ a.re + b.re, a.im + b.im };
}

static inline struct complex_lanes sub(struct complex_lanes a, struct complex_lanes b)
{
    return (struct complex_lanes){ a.re - b.re, a.im - b.im };
}

static inline struct complex_lanes times_minus_i(struct complex_lanes a)
{
    return (struct complex_lanes){ a.im, -a.re };
}

static void pass4(struct pass ps, const struct complex_lanes *x, struct complex_lanes *y)
{
    int s = ps.s, m = ps.n / 4;
    for (int p = 0; p < m; p++)
        for (int q = 0; q < s; q++) {
            const struct complex_lanes *in = x + q + s * p;
            struct complex_lanes *out = y + q + s * 4 * p;
            struct complex_lanes a = add(in[0], in[2 * s * m]), b = sub(in[0], in[2 * s * m]);
            struct complex_lanes c = add(in[s * m], in[3 * s * m]);
            struct complex_lanes d = times_minus_i(sub(in[s * m], in[3 * s * m]));
            out[0] = add(a, c);
            out[s] = turn(ps.t, add(b, d), p * s);
            out[2 * s] = turn(ps.t, sub(a, c), 2 * p * s);
            out[3 * s] = turn(ps.t, sub(b, d), 3 * p * s);
        }
}

/* One butterfly of five. With C1 = cos(2 pi / 5) and so on: output k is x0 + the even parts (x1 + x4),
 * (x2 + x3) times cosines, plus -i times the odd parts (x1 - x4), (x2 - x3) times sines. */
static inline void butterfly5(const struct complex_lanes x[5], struct complex_lanes y[5])
{
    const float c1 = 0.309016994374947424F, c2 = -0.809016994374947424F;
    const float s1 = 0.951056516295153572F, s2 = 0.587785252292473129F;
    struct complex_lanes e1 = add(x[1], x[4]), e2 = add(x[2], x[3]);
    struct complex_lanes o1 = sub(x[1], x[4]), o2 = sub(x[2], x[3]);
    struct complex_lanes a = { x[0].re + e1.re * c1 + e2.re * c2, x[0].im + e1.im * c1 + e2.im * c2 };
    struct complex_lanes b = { x[0].re + e1.re * c2 + e2.re * c1, x[0].im + e1.im * c2 + e2.im * c1 };
    struct complex_lanes c =
        times_minus_i((struct complex_lanes){ o1.re * s1 + o2.re * s2, o1.im * s1 + o2.im * s2 });
    struct complex_lanes d =
        times_minus_i((struct complex_lanes){ o1.re * s2 - o2.re * s1, o1.im * s2 - o2.im * s1 });
    y[0] = add(x[0], add(e1, e2));
    y[1] = add(a, c);
    y[2] = add(b, d);
    y[3] = sub(b, d);
    y[4] = sub(a, c);
}

static void pass5(struct pass ps, const struct complex_lanes *x, struct complex_lanes *y)
{
    int s = ps.s, m = ps.n / 5;
    for (int p = 0; p < m; p++)
        for (int q = 0; q < s; q++) {
            const struct complex_lanes *in = x + q + s * p;
            struct complex_lanes *out = y + q + s * 5 * p;
            struct complex_lanes a[5] = { in[0], in[s * m], in[2 * s * m], in[3 * s * m], in[4 * s * m] },
                                 b[5];
            butterfly5(a, b);
            out[0] = b[0];
            for (int k = 1; k < 5; k++)
                out[k * s] = turn(ps.t, b[k], k * p * s);
        }
}

/* The last pass: n is 2, so all factors are 1. */
static void pass2(const struct complex_lanes *x, struct complex_lanes *y)
{
    for (int q = 0; q < PN_FFT_HALF / 2; q++) {
        y[q] = add(x[q], x[q + PN_FFT_HALF / 2]);
        y[q + PN_FFT_HALF / 2] = sub(x[q], x[q + PN_FFT_HALF / 2]);
    }
}

static void load(const struct pn_fft400 *t, const float *x, size_t hop, struct complex_lanes z[PN_FFT_HALF])
{
    for (int i = 0; i < PN_FFT_HALF; i++) {
        const float *a = x + 2 * i, *b = a + hop, *c = b + hop, *d = c + hop;
        z[i].re = (pn_lanes){ a[0], b[0], c[0], d[0] } * t->window[2 * i];
        z[i].im = (pn_lanes){ a[1], b[1], c[1], d[1] } * t->window[2 * i + 1];
    }
}

/* X[k] = E[k] + W_400^k O[k], where E and O are the spectra of the even and the odd samples: the symmetric
 * and the antisymmetric half of z = e + i o. Doubled values; the factor 1/4 goes into the power. */
static void split(const struct pn_fft400 *t, const struct complex_lanes z[PN_FFT_HALF],
                  pn_lanes power[PN_FFT_BINS])
{
    for (int k = 0; k <= PN_FFT_HALF; k++) {
        struct complex_lanes a = z[k % PN_FFT_HALF], b = z[(PN_FFT_HALF - k) % PN_FFT_HALF];
        struct complex_lanes e = { a.re + b.re, a.im - b.im }, o = { a.im + b.im, b.re - a.re };
        float c = t->cos400[k], s = t->sin400[k];
        pn_lanes re = e.re + o.re * c + o.im * s, im = e.im + o.im * c - o.re * s;
        power[k] = (re * re + im * im) * 0.25F;
    }
}

void pn_fft400_power(const struct pn_fft400 *t, const float *samples, size_t hop, pn_lanes power[PN_FFT_BINS])
{
    struct complex_lanes a[PN_FFT_HALF], b[PN_FFT_HALF];
    load(t, samples, hop, a);
    pass4((struct pass){ t, 200, 1 }, a, b);
    pass5((struct pass){ t, 50, 4 }, b, a);
    pass5((struct pass){ t, 10, 20 }, a, b);
    pass2(b, a);
    split(t, a, power);
}
