/* sequence_avx512.c - memory blocks, LSTM cells and rows of halves with AVX-512. */
#include "nn/kern_levels.h"
#include "nn/memory.h"
#include "nn/x86/half_avx512.h"
#include "nn/x86/math_avx512.h"

#define INLINE static inline __attribute__((always_inline))

/* ---- memory ---- */

static void memory_tile(int taps, const float *w, const float *now, const float *x, float *y, size_t ldy)
{
    for (int c = 0; c < PN_MEMORY_COLUMNS; c += 16) {
        __m512 sum[PN_MEMORY_ROWS];
#pragma GCC unroll 8
        for (int r = 0; r < PN_MEMORY_ROWS; r++)
            sum[r] = _mm512_loadu_ps(now + r * PN_MEMORY_COLUMNS + c);
        for (int j = 0; j < taps; j++) {
            __m512 f = _mm512_loadu_ps(w + j * PN_MEMORY_COLUMNS + c);
            const float *at = x + j * PN_MEMORY_COLUMNS + c;
#pragma GCC unroll 8
            for (int r = 0; r < PN_MEMORY_ROWS; r++)
                sum[r] = _mm512_fmadd_ps(f, _mm512_loadu_ps(at + r * PN_MEMORY_COLUMNS), sum[r]);
        }
#pragma GCC unroll 8
        for (int r = 0; r < PN_MEMORY_ROWS; r++) {
            float *to = y + (size_t)r * ldy + c;
            _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), sum[r]));
        }
    }
}

static void memory(const struct pn_memory *a)
{
    pn_memory_strips(a, memory_tile);
}

/* ---- cells ---- */

INLINE __m512 sigmoid(__m512 x)
{
    const __m512 one = _mm512_set1_ps(1);
    return _mm512_div_ps(one, _mm512_add_ps(one, pn_exp_avx512(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

INLINE __m512 tangent(__m512 x)
{
    return _mm512_fmsub_ps(sigmoid(_mm512_add_ps(x, x)), _mm512_set1_ps(2), _mm512_set1_ps(1));
}

static void lstm_cell(size_t n, const float *gates, float *c, float *h)
{
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 mask = n - i >= 16 ? 0xffff : pn_tail_avx512(n);
        __m512 in = _mm512_maskz_loadu_ps(mask, gates + i),
               forget = _mm512_maskz_loadu_ps(mask, gates + n + i);
        __m512 new = _mm512_maskz_loadu_ps(mask, gates + 2 * n + i);
        __m512 out = _mm512_maskz_loadu_ps(mask, gates + 3 * n + i);
        __m512 kept = _mm512_mul_ps(sigmoid(forget), _mm512_maskz_loadu_ps(mask, c + i));
        __m512 cell = _mm512_fmadd_ps(sigmoid(in), tangent(new), kept);
        _mm512_mask_storeu_ps(c + i, mask, cell);
        _mm512_mask_storeu_ps(h + i, mask, _mm512_mul_ps(sigmoid(out), tangent(cell)));
    }
}

/* ---- halves ---- */

static void to_half(const float *x, uint16_t *y, size_t n)
{
    pn_to_half_avx512(x, y, n);
}

static void from_half(const uint16_t *x, float *y, size_t n)
{
    pn_from_half_avx512(x, y, n);
}

void pn_kern_sequence_avx512(struct pn_kern *k)
{
    k->memory = memory;
    k->lstm_cell = lstm_cell;
    k->to_half = to_half;
    k->from_half = from_half;
}
