/* vec_c.c - rows of numbers, portable: the definition of what the faster levels compute. */
#include "nn/kern_levels.h"

#include <math.h>

static void layer_norm_row(int n, const float *x, const float *gamma, const float *beta, float *y)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    double mean = sum / n;
    for (int i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    double scale = 1 / sqrt(squares / n + 1e-5);
    for (int i = 0; i < n; i++)
        y[i] = (float)((x[i] - mean) * scale) * gamma[i] + beta[i];
}

static void layer_norm_c(int m, int n, const float *x, size_t ldx, const float *gamma, const float *beta,
                         float *y, size_t ldy)
{
    for (int i = 0; i < m; i++)
        layer_norm_row(n, x + (size_t)i * ldx, gamma, beta, y + (size_t)i * ldy);
}

static void gelu_c(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = 0.5f * x[i] * (1 + erff(x[i] * (float)M_SQRT1_2));
}

static float max_c(const float *x, size_t n)
{
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

static void softmax_c(float *x, size_t n)
{
    float max = max_c(x, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - max);
        sum += x[i];
    }
    float scale = (float)(1 / sum);
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
}

static float logsumexp_c(const float *x, size_t n)
{
    float max = max_c(x, n);
    if (max == -INFINITY)
        return max;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += expf(x[i] - max);
    return max + (float)log(sum);
}

static void add_c(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

void pn_kern_vec_c(struct pn_kern *k)
{
    k->layer_norm = layer_norm_c;
    k->gelu = gelu_c;
    k->softmax = softmax_c;
    k->max = max_c;
    k->logsumexp = logsumexp_c;
    k->add = add_c;
}
