/* vec_c.c - rows of numbers, portable: the definition of what the faster levels compute. */
#include "nn/half.h"
#include "nn/kern_levels.h"

#include <math.h>

static void layer_norm_row(int n, const float *x, const float *gamma, const float *beta, float eps, float *y)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    double mean = sum / n;
    for (int i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    double scale = 1 / sqrt(squares / n + (double)eps);
    for (int i = 0; i < n; i++)
        y[i] = (float)((x[i] - mean) * scale) * gamma[i] + beta[i];
}

static void layer_norm_c(int m, int n, const float *x, size_t ldx, const float *gamma, const float *beta,
                         float eps, float *y, size_t ldy)
{
    for (int i = 0; i < m; i++)
        layer_norm_row(n, x + (size_t)i * ldx, gamma, beta, eps, y + (size_t)i * ldy);
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

static void to_half_c(const float *x, uint16_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = pn_f16_of_f32(x[i]);
}

static void from_half_c(const uint16_t *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = pn_f32_of_f16(x[i]);
}

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

static void lstm_cell_c(size_t n, const float *gates, float *c, float *h)
{
    for (size_t i = 0; i < n; i++) {
        c[i] = sigmoid(gates[n + i]) * c[i] + sigmoid(gates[i]) * tanhf(gates[2 * n + i]);
        h[i] = sigmoid(gates[3 * n + i]) * tanhf(c[i]);
    }
}

/* Number c of row t of x, which may not exist. */
static float memory_at(const struct pn_memory *a, int t, int c)
{
    bool exists = t >= -a->before && t < a->m + a->after;
    return exists ? a->x[(ptrdiff_t)t * (ptrdiff_t)a->ldx + c] : 0;
}

static void memory_c(const struct pn_memory *a)
{
    for (int t = 0; t < a->m; t++)
        for (int c = 0; c < a->n; c++) {
            float sum = memory_at(a, t, c);
            for (int j = 0; j < a->taps; j++)
                sum += a->w[j * a->n + c] * memory_at(a, t + j - a->left, c);
            a->y[(size_t)t * a->ldy + (size_t)c] += sum;
        }
}

void pn_kern_vec_c(struct pn_kern *k)
{
    k->layer_norm = layer_norm_c;
    k->gelu = gelu_c;
    k->softmax = softmax_c;
    k->max = max_c;
    k->logsumexp = logsumexp_c;
    k->add = add_c;
    k->to_half = to_half_c;
    k->from_half = from_half_c;
    k->lstm_cell = lstm_cell_c;
    k->memory = memory_c;
}
