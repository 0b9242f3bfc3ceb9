/* kern.h - the table of kernels: one entry per operation, chosen once from the CPU.
 *
 * Every entry has a portable C version, which is the definition; later, better levels overwrite it. Files
 * under x86/ and arm/ alone see intrinsics. Everything takes plain arrays, allocates nothing and runs on the
 * calling thread.
 *
 * A row's result never depends on the other rows, on how many there are, or on how a product was split over
 * columns and threads: each output is summed over k in one fixed order. So a stream gets bit for bit the same
 * answer in a batch as alone. */
#ifndef PN_NN_KERN_H
#define PN_NN_KERN_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PN_PANEL = 64, /* output channels that lie together in packed weights */
    PN_MAX_K =
        1 << 16, /* largest inner dimension: the int32 sums cannot overflow (65536 * 255 * 127 < 2^31) */
    PN_MAX_GROUP = 258, /* what weights that a kernel may add up in 16 bits sum to: 258 * 127 < 2^15 */
    PN_MAX_TAPS = 64,   /* of a memory block */
    PN_SMALL_ROWS = 24, /* queries of a small attention that share a pass over the keys, any level */
};

/* What happens to a product before it is stored. */
enum pn_epilogue {
    PN_STORE, /* y = product + bias */
    PN_GELU,  /* y = gelu(product + bias), exact (erf) */
    PN_RELU,  /* y = max(product + bias, 0) */
    PN_ADD,   /* y += product + bias: the residual stream */
};

/* x is about scale * (q - zero); zero is one of the values of q, so 0.0 is represented exactly. */
struct pn_quant_row {
    float scale;
    int32_t zero;
};

/* y[i][j] = epilogue(rows[i].scale * w_scale[j] * (sum_k a[i][k] w[j][k] - rows[i].zero * w_sum[j]) +
 * bias[j]) for 0 <= i < m, n_from <= j < n_to. The sums are exact, for which activations are at most
 * activation_top of the table, and weights keep to one rule: of every group of four inputs of a channel, 8i +
 * h, 8i + h + 1, 8i + h + 4 and 8i + h + 5 with h 0 or 2, the positive weights sum to PN_MAX_GROUP at most,
 * and the negative ones to -PN_MAX_GROUP at least. So AVX2 may add two pairs of products in 16 bits. */
struct pn_gemm_u8s8 {
    int m, k;         /* k is a multiple of 4; activations and weights are zero-padded up to it */
    int n_from;       /* a multiple of PN_PANEL */
    int n_to;         /* any */
    const uint8_t *a; /* [m][lda], or [2m] if paired */
    size_t lda;
    const struct pn_quant_row *rows; /* [m], or [2m] */
    const int8_t *w; /* [ceil(n / 64)][k / 4][64][4], -127..127, 64-byte aligned; missing columns are 0 */
    const float *w_scale; /* [n padded to 64], 64-byte aligned, as w_sum and bias */
    const int32_t *w_sum; /* sum over k of w */
    const float *bias;    /* never NULL: zeros where a layer has none */
    float *y;             /* [m][ldy]; column j at y[i * ldy + j] */
    size_t ldy;
    enum pn_epilogue epilogue;
    bool paired; /* rows 2i and 2i + 1 of `a` and `rows` add up to row i of y, of m; only with activations up
                    to 127 */
};

/* The same in f32: w is [ceil(n / 64)][k][64]; k is any. */
struct pn_gemm_f32 {
    int m, k, n_from, n_to;
    const float *a;
    size_t lda; /* floats; rows may overlap (lda < k): a convolution over [time][channel] is such a product */
    const float *w;
    const float *bias;
    float *y;
    size_t ldy;
    enum pn_epilogue epilogue;
};

/* One head's attention, head width d (a multiple of 16, at most 128), over n positions; see attention.h for
 * the packed forms. */
struct pn_attend {
    int m, n, d;
    const float *q; /* [m][ldq] */
    size_t ldq;
    const void *packed;
    float *out; /* [m][ldo] */
    size_t ldo;
    float *scores; /* [m][n] scaled q.k before softmax, or NULL */
    void *scratch;
};

/* Keys and values of n positions as they lie in memory, `ld` numbers from one position to the next. */
struct pn_kv_rows {
    int n;     /* 0: nothing */
    bool half; /* k and v are uint16_t, halves (half.h); else float */
    const void *k, *v;
    size_t ld;
};

/* A few queries over rows that nobody packed: those of a cache, then new ones. The order of positions does
 * not matter, so a cache may be a ring. A row's result depends on the positions and their order only, not on
 * m or on where the spans meet. */
struct pn_small_attend {
    int m, d;       /* queries; head width, any up to 128 */
    float scale;    /* of q.k; 0: 1 / sqrt(d) */
    const float *q; /* [m][ldq] */
    size_t ldq;
    struct pn_kv_rows span[2]; /* one position at least in both together */
    float *out;                /* [m][ldo] */
    size_t ldo;
    float *scores; /* [m][span[0].n + span[1].n] scaled q.k before softmax, or NULL */
    void *scratch; /* pn_small_attention_scratch() bytes, 64-byte aligned */
};

/* The memory block of an FSMN: y[t][c] += x[t][c] + sum over j < taps of w[j][c] x[t + j - left][c] for t in
 * [0, m), summed in this order. Rows -before .. m - 1 + after of x exist, the others count as zeros. */
struct pn_memory {
    int m, n;
    int taps, left; /* taps up to PN_MAX_TAPS; `left` of them, not all, in the past */
    int before, after;
    const float *x; /* row 0 */
    size_t ldx;
    const float *w; /* [taps][n] */
    float *y;       /* [m][ldy]; apart from x */
    size_t ldy;
};

struct pn_kern {
    unsigned cpu; /* PN_CPU_* that it was chosen for */

    /* linear.c: products */
    int activation_top; /* what gemm_u8s8 takes: bytes in 0..255, or in 0..127 */
    /* q[0..k) in 0..top (127 or 255) and its scale from x[0..k), asymmetric over [min(x,0), max(x,0)], round
     * to nearest even; q[k..k4) = 0 where k4 is k rounded up to 4. A row of zeros (or one with NaN) gets
     * scale 1 (NaN), zero 0. */
    void (*quantize_row)(const float *x, int k, int top, uint8_t *q, struct pn_quant_row *ret);
    void (*gemm_u8s8)(const struct pn_gemm_u8s8 *g);
    void (*gemm_f32)(const struct pn_gemm_f32 *g);

    /* vec.c: rows of numbers */
    /* y[i] = (x[i] - mean) / sqrt(var + eps) * gamma + beta for each of m rows; y may be x. */
    void (*layer_norm)(int m, int n, const float *x, size_t ldx, const float *gamma, const float *beta,
                       float eps, float *y, size_t ldy);
    void (*gelu)(float *x, size_t n);    /* exact: 0.5 x (1 + erf(x / sqrt 2)), absolute error below 1e-6 */
    void (*softmax)(float *x, size_t n); /* in place; -inf allowed, not all of them */
    float (*max)(const float *x, size_t n);       /* -inf for n = 0 */
    float (*logsumexp)(const float *x, size_t n); /* -inf when all are; skips -inf */
    void (*add)(float *y, const float *x, size_t n);
    void (*to_half)(const float *x, uint16_t *y, size_t n); /* as pn_f16_of_f32 */
    void (*from_half)(const uint16_t *x, float *y, size_t n);
    /* One step of n cells: gates[4][n] are the sums before input, forget, cell and output gate;
     * c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c), absolute error below 1e-6. */
    void (*lstm_cell)(size_t n, const float *gates, float *c, float *h);
    void (*memory)(const struct pn_memory *a);

    /* attention.c */
    void (*attention_pack[2])(int n, int d, const float *k, size_t ldk, const float *v, size_t ldv,
                              void *packed);
    void (*attention[2])(const struct pn_attend *a); /* by enum pn_precision, as the others */
    void (*cross_pack[2])(int n, int d, const float *k, size_t ldk, const float *v, size_t ldv, void *packed);
    void (*cross_attention[2])(const struct pn_attend *a);
    void (*self_attention)(const struct pn_attend *a, const float *k, const float *v, size_t ldkv);
    void (*small_attention)(const struct pn_small_attend *a);
};

/* Fills `k` with the best of every entry for exactly these PN_CPU_* bits; tests build one per level. */
void pn_kern_init(struct pn_kern *k, unsigned cpu);
/* The process's table: pn_cpu_detect() masked by the environment variable PINNA_CPU, chosen at the first
 * call. Any thread. */
const struct pn_kern *pn_kern(void);

#endif
