/* fft_lanes.h - the steps that the transforms of fft400.c and fft512.c share: four frames side by side, one
 * in each lane of a vector.
 *
 * Every step is the same arithmetic for each lane, so a frame's spectrum does not depend on its neighbours,
 * bit for bit. A pass of radix r on groups of n points that lie s apart: with m = n / r, inputs p + m j (j <
 * r) give outputs r p + k (k < r), times W_n^(p k). Each pass reads one array and writes the other in the
 * order that the next wants (Stockham), so there is no bit reversal. */
#ifndef PN_AUDIO_FFT_LANES_H
#define PN_AUDIO_FFT_LANES_H

enum { PN_FFT_LANES = 4 };

typedef float pn_lanes __attribute__((vector_size(4 * PN_FFT_LANES)));

struct pn_fft_complex {
    pn_lanes re, im;
};

/* cos and sin of 2 pi i / N, N the size of the whole transform. */
struct pn_fft_pass {
    const float *cos, *sin;
    int n, s;
};

/* a * W_N^i, W_N = exp(-2 pi i / N) */
static inline struct pn_fft_complex pn_fft_turn(struct pn_fft_pass ps, struct pn_fft_complex a, int i)
{
    float c = ps.cos[i], s = ps.sin[i];
    return (struct pn_fft_complex){ a.re * c + a.im * s, a.im * c - a.re * s };
}

static inline struct pn_fft_complex pn_fft_add(struct pn_fft_complex a, struct pn_fft_complex b)
{
    return (struct pn_fft_complex){ a.re + b.re, a.im + b.im };
}

static inline struct pn_fft_complex pn_fft_sub(struct pn_fft_complex a, struct pn_fft_complex b)
{
    return (struct pn_fft_complex){ a.re - b.re, a.im - b.im };
}

static inline struct pn_fft_complex pn_fft_times_minus_i(struct pn_fft_complex a)
{
    return (struct pn_fft_complex){ a.im, -a.re };
}

static inline void pn_fft_pass4(struct pn_fft_pass ps, const struct pn_fft_complex *x,
                                struct pn_fft_complex *y)
{
    int s = ps.s, m = ps.n / 4;
    for (int p = 0; p < m; p++)
        for (int q = 0; q < s; q++) {
            const struct pn_fft_complex *in = x + q + s * p;
            struct pn_fft_complex *out = y + q + s * 4 * p;
            struct pn_fft_complex a = pn_fft_add(in[0], in[2 * s * m]), b = pn_fft_sub(in[0], in[2 * s * m]);
            struct pn_fft_complex c = pn_fft_add(in[s * m], in[3 * s * m]);
            struct pn_fft_complex d = pn_fft_times_minus_i(pn_fft_sub(in[s * m], in[3 * s * m]));
            out[0] = pn_fft_add(a, c);
            out[s] = pn_fft_turn(ps, pn_fft_add(b, d), p * s);
            out[2 * s] = pn_fft_turn(ps, pn_fft_sub(a, c), 2 * p * s);
            out[3 * s] = pn_fft_turn(ps, pn_fft_sub(b, d), 3 * p * s);
        }
}

/* The power spectrum of 2 * half real points from the spectrum z of even + i odd: X[k] = E[k] + W^k O[k],
 * where E and O are the spectra of the even and the odd samples, the symmetric and the antisymmetric half of
 * z. Values are doubled; the factor 1/4 goes into the power. cos and sin are of 2 pi k / (2 half). */
static inline void pn_fft_split(int half, const float *cos, const float *sin, const struct pn_fft_complex *z,
                                pn_lanes *power)
{
    for (int k = 0; k <= half; k++) {
        struct pn_fft_complex a = z[k % half], b = z[(half - k) % half];
        struct pn_fft_complex e = { a.re + b.re, a.im - b.im }, o = { a.im + b.im, b.re - a.re };
        float c = cos[k], s = sin[k];
        pn_lanes re = e.re + o.re * c + o.im * s, im = e.im + o.im * c - o.re * s;
        power[k] = (re * re + im * im) * 0.25F;
    }
}

#endif
