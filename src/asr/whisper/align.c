/* align.c - see align.h. */
#include "asr/whisper/align.h"

#include "base/error.h"
#include "nn/kern.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 7, HALF = WIDTH / 2 };

int pn_align_standardise(float *w, int n_rows, int n_pos)
{
    float *mean = calloc((size_t)n_pos * 2 + 1, sizeof(*mean)), *scale = mean ? mean + n_pos : NULL;
    if (!mean)
        return -PN_ENOMEM;
    for (int i = 0; i < n_rows; i++)
        for (int j = 0; j < n_pos; j++)
            mean[j] += w[(size_t)i * (size_t)n_pos + (size_t)j];
    for (int j = 0; j < n_pos; j++)
        mean[j] /= (float)n_rows;
    for (int i = 0; i < n_rows; i++)
        for (int j = 0; j < n_pos; j++) {
            float d = w[(size_t)i * (size_t)n_pos + (size_t)j] - mean[j];
            scale[j] += d * d;
        }
    for (int j = 0; j < n_pos; j++)
        scale[j] = scale[j] > 0 ? 1 / sqrtf(scale[j] / (float)n_rows) : 0;
    for (int i = 0; i < n_rows; i++)
        for (int j = 0; j < n_pos; j++) {
            float *x = &w[(size_t)i * (size_t)n_pos + (size_t)j];
            *x = (*x - mean[j]) * scale[j];
        }
    free(mean);
    return 0;
}

/* The smaller one to a, the larger one to b. */
#define ORDER(a, b)                                                     \
    do {                                                                \
        float lo_ = (a) < (b) ? (a) : (b), hi_ = (a) < (b) ? (b) : (a); \
        (a) = lo_;                                                      \
        (b) = hi_;                                                      \
    } while (0)

void pn_align_median(const float *row, int n, float *padded, float *out)
{
    if (n <= HALF) {
        memcpy(out, row, (size_t)n * sizeof(*out));
        return;
    }
    memcpy(padded + HALF, row, (size_t)n * sizeof(*row));
    for (int i = 1; i <= HALF; i++) {
        padded[HALF - i] = row[i];
        padded[HALF + n - 1 + i] = row[n - 1 - i];
    }
    /* A sorting network instead of a sort: no branches, so that the compiler makes vectors of it. */
    for (int i = 0; i < n; i++) {
        const float *p = padded + i;
        float a = p[0], b = p[1], c = p[2], d = p[3], e = p[4], f = p[5], g = p[6];
        ORDER(a, f);
        ORDER(a, d);
        ORDER(b, g);
        ORDER(c, e);
        ORDER(a, b);
        ORDER(d, f);
        ORDER(c, g);
        ORDER(c, d);
        ORDER(d, g);
        ORDER(e, f);
        ORDER(b, e);
        ORDER(b, d);
        ORDER(d, e);
        out[i] = d;
    }
}

/* One head's rows into the sum over heads. */
static int add_head(float *w, int n_rows, int n_pos, int from, int to, float *scratch, float *sum)
{
    for (int i = 0; i < n_rows; i++)
        pn_kern()->softmax(w + (size_t)i * (size_t)n_pos, (size_t)n_pos);
    int r = pn_align_standardise(w, n_rows, n_pos);
    for (int i = from; i < to && r == 0; i++) {
        float *filtered = scratch + n_pos + WIDTH - 1;
        pn_align_median(w + (size_t)i * (size_t)n_pos, n_pos, scratch, filtered);
        pn_kern()->add(sum + (size_t)(i - from) * (size_t)n_pos, filtered, (size_t)n_pos);
    }
    return r;
}

int pn_align_matrix(float *weights, int n_heads, int n_rows, int n_pos, int from, int to, float *m)
{
    float *scratch = calloc((size_t)n_pos * 2 + WIDTH, sizeof(*scratch));
    if (!scratch)
        return -PN_ENOMEM;
    size_t n = (size_t)(to - from) * (size_t)n_pos;
    memset(m, 0, n * sizeof(*m));
    int r = 0;
    for (int h = 0; h < n_heads && r == 0; h++)
        r = add_head(weights + (size_t)h * (size_t)n_rows * (size_t)n_pos, n_rows, n_pos, from, to, scratch,
                     m);
    for (size_t i = 0; i < n; i++)
        m[i] /= (float)n_heads;
    free(scratch);
    return r;
}

enum step { DIAGONAL, UP, LEFT };

/* trace[n + 1][n_pos + 1]; cost holds two columns of n + 1. */
static void fill_trace(const float *m, int n, int n_pos, float *cost, uint8_t *trace)
{
    float *before = cost, *now = cost + n + 1;
    size_t width = (size_t)n_pos + 1;
    for (int i = 1; i <= n; i++)
        before[i] = INFINITY;
    before[0] = 0;
    for (int j = 1; j <= n_pos; j++) {
        now[0] = INFINITY;
        for (int i = 1; i <= n; i++) {
            float c0 = before[i - 1], c1 = now[i - 1], c2 = before[i];
            enum step s = c0 < c1 && c0 < c2 ? DIAGONAL : c1 < c0 && c1 < c2 ? UP : LEFT;
            float c = s == DIAGONAL ? c0 : s == UP ? c1 : c2;
            now[i] = c - m[(size_t)(i - 1) * (size_t)n_pos + (size_t)(j - 1)];
            trace[(size_t)i * width + (size_t)j] = (uint8_t)s;
        }
        float *swap = before;
        before = now;
        now = swap;
    }
}

int pn_align_path(const float *m, int n, int n_pos, int32_t *first)
{
    size_t width = (size_t)n_pos + 1;
    float *cost = calloc(((size_t)n + 1) * 2, sizeof(*cost));
    uint8_t *trace = calloc(((size_t)n + 1) * width, 1);
    bool ok = cost && trace;
    if (ok)
        fill_trace(m, n, n_pos, cost, trace);
    /* Backwards, so the last one written for a row is where the path enters it. */
    for (int i = n, j = n_pos; ok && (i > 0 || j > 0);) {
        if (i > 0)
            first[i - 1] = PN_MAX(j - 1, 0);
        enum step s = i == 0 ? LEFT : j == 0 ? UP : (enum step)trace[(size_t)i * width + (size_t)j];
        i -= s != LEFT;
        j -= s != UP;
    }
    free(cost);
    free(trace);
    return ok ? 0 : -PN_ENOMEM;
}
