/* sequence_avx2.c - memory blocks, LSTM cells and rows of halves with AVX2, FMA and F16C. */
#include "nn/kern_levels.h"
#include "nn/memory.h"
#include "nn/x86/half_avx2.h"
#include "nn/x86/softmax_avx2.h"

#define INLINE static inline __attribute__((always_inline))

/* ---- memory ---- */

static void memory_tile(int taps, const float *w, const float *now, const float *x, float *y, size_t ldy)
{
    for (int c = 0; c < PN_MEMORY_COLUMNS; c += 8) {
        __m256 sum[PN_MEMORY_ROWS];
#pragma GCC unroll 8
        for (int r = 0; r < PN_MEMORY_ROWS; r++)
            sum[r] = _mm256_loadu_ps(now + r * PN_MEMORY_COLUMNS + c);
        for (int j = 0; j < taps; j++) {
            __m256 f = _mm256_loadu_ps(w + j * PN_MEMORY_COLUMNS + c);
            const float *at = x + j * PN_MEMORY_COLUMNS + c;
#pragma GCC unroll 8
            for (int r = 0; r < PN_MEMORY_ROWS; r++)
                sum[r] = _mm256_fmadd_ps(f, _mm256_loadu_ps(at + r * PN_MEMORY_COLUMNS), sum[r]);
        }
#pragma GCC unroll 8
        for (int r = 0; r < PN_MEMORY_ROWS; r++) {
            float *to = y + (size_t)r * ldy + c;
            _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), sum[r]));
        }
    }
}

static void memory(const struct pn_memory *a)
{
    pn_memory_strips(a, memory_tile);
}

/* ---- cells ---- */

INLINE __m256 sigmoid(__m256 x)
{
    const __m256 one = _mm256_set1_ps(1);
    return _mm256_div_ps(one, _mm256_add_ps(one, pn_exp_avx2(_mm256_sub_ps(_mm256_setzero_ps(), x))));
}

INLINE __m256 tangent(__m256 x)
{
    return _mm256_fmsub_ps(sigmoid(_mm256_add_ps(x, x)), _mm256_set1_ps(2), _mm256_set1_ps(1));
}

/* The new cell and, in *ret_h, the new output. */
INLINE __m256 cell(__m256 in, __m256 forget, __m256 new, __m256 out, __m256 c, __m256 *ret_h)
{
    c = _mm256_fmadd_ps(sigmoid(in), tangent(new), _mm256_mul_ps(sigmoid(forget), c));
    *ret_h = _mm256_mul_ps(sigmoid(out), tangent(c));
    return c;
}

static void lstm_cell(size_t n, const float *gates, float *c, float *h)
{
    const __m256i tail = pn_tail_avx2(n);
    __m256 out;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const float *g = gates + i;
        _mm256_storeu_ps(c + i, cell(_mm256_loadu_ps(g), _mm256_loadu_ps(g + n), _mm256_loadu_ps(g + 2 * n),
                                     _mm256_loadu_ps(g + 3 * n), _mm256_loadu_ps(c + i), &out));
        _mm256_storeu_ps(h + i, out);
    }
    const float *g = gates + i;
    __m256 last = cell(_mm256_maskload_ps(g, tail), _mm256_maskload_ps(g + n, tail),
                       _mm256_maskload_ps(g + 2 * n, tail), _mm256_maskload_ps(g + 3 * n, tail),
                       _mm256_maskload_ps(c + i, tail), &out);
    _mm256_maskstore_ps(c + i, tail, last);
    _mm256_maskstore_ps(h + i, tail, out);
}

/* ---- halves ---- */

static void to_half(const float *x, uint16_t *y, size_t n)
{
    pn_to_half_avx2(x, y, n);
}

static void from_half(const uint16_t *x, float *y, size_t n)
{
    pn_from_half_avx2(x, y, n);
}

void pn_kern_sequence_avx2(struct pn_kern *k)
{
    k->memory = memory;
    k->lstm_cell = lstm_cell;
    k->to_half = to_half;
    k->from_half = from_half;
}
