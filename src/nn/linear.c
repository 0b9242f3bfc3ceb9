/* linear.c - packed layers: layout, views, and products on one thread or a pool.
 *
 * A block is [panels][scale][sum][bias] in int8 and [panels][bias] in f32, each part padded to 64 bytes and
 * every vector to whole panels. Panels are [k / 4][64][4] s8 or [k][64] f32 (kern.h). */
#include "nn/linear.h"

#include "base/attr.h"

#include <math.h>
#include <string.h>

enum {
    MAX_N = 1 << 24,
    ROW_BLOCK = 96,
};

static size_t padded_n(int n)
{
    return pn_round_up((size_t)n, PN_PANEL);
}

static int padded_k(enum pn_precision p, int k)
{
    return p == PN_INT8 ? (k + 3) & ~3 : k;
}

static size_t panels_size(enum pn_precision p, int n, int k)
{
    return padded_n(n) * (size_t)padded_k(p, k) * (p == PN_INT8 ? sizeof(int8_t) : sizeof(float));
}

size_t pn_linear_packed_size(enum pn_precision p, int n, int k)
{
    if (n < 1 || n > MAX_N || k < 1 || k > PN_MAX_K)
        return 0;
    size_t vectors = p == PN_INT8 ? 3 : 1;
    return panels_size(p, n, k) + vectors * padded_n(n) * sizeof(float);
}

struct pn_linear pn_linear_view(enum pn_precision p, int n, int k, const void *block)
{
    const char *vectors = (const char *)block + panels_size(p, n, k);
    size_t each = padded_n(n) * sizeof(float);
    struct pn_linear l = { .precision = p, .n = n, .k = k, .w = block };
    if (p == PN_INT8) {
        l.scale = (const void *)vectors;
        l.sum = (const void *)(vectors + each);
        vectors += 2 * each;
    }
    l.bias = (const void *)vectors;
    return l;
}

/* ---- packing ---- */

/* Weights that are not finite become 0: a file from outside must not make a scale infinite. */
static float weight(const float *w, int i, int k)
{
    return i < k && isfinite(w[i]) ? w[i] : 0;
}

/* The scale that the group at i needs (kern.h). Rounding adds half a step at most to each of its four
 * weights, so those of a sign may sum to 2 less before; weights are divided first, as their sum might not be
 * finite. */
static float group_scale(const float *w, int i, int k)
{
    float up = 0, down = 0;
    for (int b = 0; b < 4; b++) {
        float v = weight(w, i + b / 2 * 4 + b % 2, k) / (PN_MAX_GROUP - 2);
        up += fmaxf(v, 0);
        down += fmaxf(-v, 0);
    }
    return fmaxf(up, down);
}

static float channel_scale(const float *w, int k)
{
    float top = 0, scale = 0;
    for (int i = 0; i < k; i++)
        top = fmaxf(top, fabsf(weight(w, i, k)));
    for (int i = 0; i < k; i += 2)
        if (i % 8 < 4)
            scale = fmaxf(scale, group_scale(w, i, k));
    return fmaxf(top / 127.0f, scale);
}

static int8_t quantized(float w, float scale)
{
    float q = scale > 0 ? nearbyintf(w / scale) : 0;
    return (int8_t)(q < -127 ? -127 : q > 127 ? 127 : q);
}

/* Channel j (w[k], or NULL for one of the padding); `panel` is the panel's first byte. */
static void pack_channel_s8(int8_t *panel, int j, const float *w, int k, float *scale, int32_t *sum)
{
    int8_t *out = panel + j % PN_PANEL * 4;
    float s = w ? channel_scale(w, k) : 0;
    int32_t total = 0;
    for (int i = 0; i < padded_k(PN_INT8, k); i++) {
        int8_t q = w ? quantized(weight(w, i, k), s) : 0;
        out[(size_t)(i / 4) * PN_PANEL * 4 + i % 4] = q;
        total += q;
    }
    scale[j] = s;
    sum[j] = total;
}

static void pack_channel_f32(float *panel, int j, const float *w, int k)
{
    for (int i = 0; i < k; i++)
        panel[(size_t)i * PN_PANEL + j % PN_PANEL] = w ? w[i] : 0;
}

void pn_linear_pack_rows(enum pn_precision p, int n, int k, int from, int rows, const float *w,
                         const float *bias, void *block)
{
    struct pn_linear l = pn_linear_view(p, n, k, block);
    int to = from + rows < n ? from + rows : (int)padded_n(n);
    size_t panel_size = panels_size(p, PN_PANEL, k);
    for (int j = from; j < to; j++) {
        void *panel = (char *)block + (size_t)(j / PN_PANEL) * panel_size;
        const float *row = j < n ? w + (size_t)(j - from) * (size_t)k : NULL;
        if (p == PN_INT8)
            pack_channel_s8(panel, j, row, k, (float *)l.scale, (int32_t *)l.sum);
        else
            pack_channel_f32(panel, j, row, k);
        ((float *)l.bias)[j] = bias && j < n ? bias[j - from] : 0;
    }
}

void pn_linear_pack(enum pn_precision p, int n, int k, const float *w, const float *bias, void *block)
{
    pn_linear_pack_rows(p, n, k, 0, n, w, bias, block);
}

void pn_linear_row(const struct pn_linear *l, int j, float *out)
{
    size_t panel = (size_t)(j / PN_PANEL) * PN_PANEL * (size_t)padded_k(l->precision, l->k);
    if (l->precision == PN_INT8) {
        const int8_t *w = (const int8_t *)l->w + panel + j % PN_PANEL * 4;
        for (int i = 0; i < l->k; i++)
            out[i] = l->scale[j] * (float)w[(size_t)(i / 4) * PN_PANEL * 4 + i % 4];
    } else {
        const float *w = (const float *)l->w + panel + j % PN_PANEL;
        for (int i = 0; i < l->k; i++)
            out[i] = w[(size_t)i * PN_PANEL];
    }
}

/* ---- products ---- */

/* Scratch in int8: [m] scales, padded to 64, then [m][lda] activations. */
static size_t quant_lda(const struct pn_linear *l)
{
    return pn_round_up((size_t)l->k, 64);
}

static size_t quant_rows_size(int m)
{
    return pn_round_up((size_t)m * sizeof(struct pn_quant_row), 64);
}

/* Rows of bytes for one of activations. */
static int parts(const struct pn_linear *l)
{
    return l->fine && pn_kern()->activation_top < 255 ? 2 : 1;
}

size_t pn_linear_scratch(const struct pn_linear *l, int m)
{
    m *= parts(l);
    return l->precision == PN_INT8 ? quant_rows_size(m) + (size_t)m * quant_lda(l) : 64;
}

/* One call, as the loops over it see it. */
struct product {
    const struct pn_linear *l;
    const struct pn_kern *kern;
    int m, parts;
    const float *x;
    size_t ldx;
    float *y;
    size_t ldy;
    enum pn_epilogue epilogue;
    struct pn_quant_row *rows; /* [m * parts], as of q */
    uint8_t *q;
    int share; /* panels or rows of one index of the loop */
};

static struct product product(const struct pn_linear *l, int m, const float *x, size_t ldx, float *y,
                              size_t ldy, enum pn_epilogue e, void *scratch)
{
    return (struct product){
        .l = l,
        .kern = pn_kern(),
        .m = m,
        .parts = parts(l),
        .x = x,
        .ldx = ldx,
        .y = y,
        .ldy = ldy,
        .epilogue = e,
        .rows = scratch,
        .q = (uint8_t *)scratch + quant_rows_size(m * parts(l)),
    };
}

/* What is left of x after its bytes q, in bytes of 126 steps to one of theirs. */
static void quantize_rest(const float *x, int k, const uint8_t *q, const struct pn_quant_row *row,
                          uint8_t *rest, struct pn_quant_row *ret_rest)
{
    const float steps = isnan(row->scale) ? 0 : 126 / row->scale;
    memset(rest, 0, (size_t)padded_k(PN_INT8, k));
    for (int i = 0; steps > 0 && i < k; i++) {
        float v = (x[i] - row->scale * (float)(q[i] - row->zero)) * steps;
        rest[i] = (uint8_t)(63.5f + (v < -63 ? -63 : v > 63 ? 63 : v));
    }
    *ret_rest = (struct pn_quant_row){ .scale = row->scale / 126, .zero = 63 };
}

static void quantize(const struct product *p, int from, int to)
{
    if (p->l->precision != PN_INT8)
        return;
    const size_t lda = quant_lda(p->l);
    for (int i = from; i < to; i++) {
        const float *x = p->x + i * p->ldx;
        struct pn_quant_row *row = p->rows + i * p->parts;
        uint8_t *q = p->q + (size_t)i * (size_t)p->parts * lda;
        p->kern->quantize_row(x, p->l->k, p->kern->activation_top, q, row);
        if (p->parts == 2)
            quantize_rest(x, p->l->k, q, row, q + lda, row + 1);
    }
}

static void multiply_s8(const struct product *p, int row, int m, int n_from, int n_to)
{
    struct pn_gemm_u8s8 g = {
        .m = m,
        .k = padded_k(PN_INT8, p->l->k),
        .n_from = n_from,
        .n_to = n_to,
        .a = p->q + (size_t)row * (size_t)p->parts * quant_lda(p->l),
        .lda = quant_lda(p->l),
        .rows = p->rows + row * p->parts,
        .w = p->l->w,
        .w_scale = p->l->scale,
        .w_sum = p->l->sum,
        .bias = p->l->bias,
        .y = p->y + row * p->ldy,
        .ldy = p->ldy,
        .epilogue = p->epilogue,
        .paired = p->parts == 2,
    };
    p->kern->gemm_u8s8(&g);
}

static void multiply_f32(const struct product *p, int row, int m, int n_from, int n_to)
{
    struct pn_gemm_f32 g = {
        .m = m,
        .k = p->l->k,
        .n_from = n_from,
        .n_to = n_to,
        .a = p->x + row * p->ldx,
        .lda = p->ldx,
        .w = p->l->w,
        .bias = p->l->bias,
        .y = p->y + row * p->ldy,
        .ldy = p->ldy,
        .epilogue = p->epilogue,
    };
    p->kern->gemm_f32(&g);
}

static void multiply(const struct product *p, int row, int m, int n_from, int n_to)
{
    if (p->l->precision == PN_INT8)
        multiply_s8(p, row, m, n_from, n_to);
    else
        multiply_f32(p, row, m, n_from, n_to);
}

void pn_linear(const struct pn_linear *l, int m, const float *x, size_t ldx, float *y, size_t ldy,
               enum pn_epilogue e, void *scratch)
{
    struct product p = product(l, m, x, ldx, y, ldy, e, scratch);
    quantize(&p, 0, m);
    multiply(&p, 0, m, 0, l->n);
}

void pn_linear_lost(const struct pn_linear *l, int m, const float *x, size_t ldx, const void *scratch,
                    float *lost, size_t ld)
{
    const struct pn_quant_row *rows = scratch;
    const uint8_t *q = (const uint8_t *)scratch + quant_rows_size(m);
    for (int i = 0; i < m; i++, x += ldx, lost += ld, q += quant_lda(l)) {
        if (l->precision != PN_INT8)
            memset(lost, 0, (size_t)l->k * sizeof(float));
        else
            for (int k = 0; k < l->k; k++)
                lost[k] = x[k] - rows[i].scale * (float)(q[k] - rows[i].zero);
    }
}

static void some_panels(void *ctx, int i, int thread)
{
    const struct product *p = ctx;
    int from = i * p->share * PN_PANEL;
    multiply(p, 0, p->m, from, PN_MIN(from + p->share * PN_PANEL, p->l->n));
}

static void some_rows(void *ctx, int i, int thread)
{
    const struct product *p = ctx;
    int from = i * p->share, to = PN_MIN(from + p->share, p->m);
    quantize(p, from, to);
    multiply(p, from, to - from, 0, p->l->n);
}

/* Two to four indices a thread: enough to even out a core that is slower, few enough to keep each long. */
static int shares(int n, int threads, int most)
{
    return PN_MAX(1, PN_MIN(most, (n + 3 * threads - 1) / (3 * threads)));
}

void pn_linear_pool(struct pn_pool *pool, const struct pn_linear *l, int m, const float *x, size_t ldx,
                    float *y, size_t ldy, enum pn_epilogue e, void *scratch)
{
    int threads = pn_pool_threads(pool);
    if (threads == 1) {
        pn_linear(l, m, x, ldx, y, ldy, e, scratch);
        return;
    }
    struct product p = product(l, m, x, ldx, y, ldy, e, scratch);
    if (m <= PN_FEW_ROWS) {
        int panels = (l->n + PN_PANEL - 1) / PN_PANEL;
        quantize(&p, 0, m);
        p.share = shares(panels, threads, panels);
        pn_pool_run(pool, (panels + p.share - 1) / p.share, some_panels, &p);
    } else {
        p.share = shares(m, threads, ROW_BLOCK);
        pn_pool_run(pool, (m + p.share - 1) / p.share, some_rows, &p);
    }
}
