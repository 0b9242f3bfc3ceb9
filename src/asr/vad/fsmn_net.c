/* fsmn_net.c - see fsmn_net.h.
 *
 * Each layer projects, adds to a row a weighted sum of itself and the 19 projected rows before it, and widens
 * again. Those rows are all that a stream remembers: [layer][rows + batch][projection]. */
#include "asr/vad/fsmn_net.h"

#include "asr/vad/layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 16, MAX_DIM = 2048, MAX_SILENCES = 16 };

struct block {
    struct pn_vad_layer project, affine;
    float *taps; /* [order][projection] */
};

struct pn_fsmn_net {
    int input, inner, width, projection, order, output_inner, outputs, n_blocks;
    struct pn_vad_layer in[2], out[2];
    struct block block[MAX_LAYERS];
    int n_silences, silence[MAX_SILENCES]; /* the outputs that mean silence */
};

struct pn_fsmn_memory {
    int past, n_blocks, projection;
    float *a, *b, *y; /* [PN_FSMN_BATCH][...] */
    float rows[];     /* [n_blocks][past + PN_FSMN_BATCH][projection] */
};

/* ---- sizes ---- */

static int read_dim(const struct pn_funasr *m, const char *name, int64_t most, int *ret, struct pn_err *err)
{
    char key[64];
    int64_t v = 0;
    snprintf(key, sizeof(key), "encoder_conf.%s", name);
    int r = pn_funasr_int(m, key, 1, most, 0, &v, err);
    if (r < 0)
        return r;
    if (v == 0)
        return pn_fail(err, PN_EFORMAT, "config.yaml: no %s", key);
    *ret = (int)v;
    return 0;
}

static int refuse_others(const struct pn_funasr *m, struct pn_err *err)
{
    int64_t stride = 1, ahead = 0;
    int r = pn_funasr_int(m, "encoder_conf.lstride", 1, 64, 1, &stride, err);
    if (r == 0)
        r = pn_funasr_int(m, "encoder_conf.rorder", 0, 64, 0, &ahead, err);
    if (r == 0 && (stride != 1 || ahead != 0))
        r = pn_fail(err, PN_EUNSUPPORTED, "an FSMN with lstride %d and rorder %d", (int)stride, (int)ahead);
    return r;
}

static int read_sizes(struct pn_fsmn_net *n, const struct pn_funasr *m, int width, struct pn_err *err)
{
    const struct {
        const char *name;
        int most, *to;
    } DIMS[] = {
        { "input_dim", MAX_DIM, &n->input },    { "input_affine_dim", MAX_DIM, &n->inner },
        { "linear_dim", MAX_DIM, &n->width },   { "proj_dim", MAX_DIM, &n->projection },
        { "lorder", PN_MAX_TAPS, &n->order },   { "output_affine_dim", MAX_DIM, &n->output_inner },
        { "output_dim", MAX_DIM, &n->outputs }, { "fsmn_layers", MAX_LAYERS, &n->n_blocks },
    };
    int r = refuse_others(m, err);
    for (size_t i = 0; r == 0 && i < PN_ARRAY_LEN(DIMS); i++)
        r = read_dim(m, DIMS[i].name, DIMS[i].most, DIMS[i].to, err);
    if (r == 0 && n->input != width)
        r = pn_fail(err, PN_EFORMAT, "config.yaml: rows of %d values for a network of %d", width, n->input);
    return r;
}

static int read_silences(struct pn_fsmn_net *n, const struct pn_funasr *m, struct pn_err *err)
{
    size_t listed = pn_funasr_list(m, "model_conf.sil_pdf_ids");
    if (listed > MAX_SILENCES)
        return pn_fail(err, PN_EFORMAT, "config.yaml: model_conf.sil_pdf_ids has %zu items", listed);
    for (size_t i = 0; i < listed; i++) {
        const char *item = pn_funasr_item(m, "model_conf.sil_pdf_ids", i);
        int64_t id = 0;
        if (pn_parse_i64(pn_str(item), 0, n->outputs - 1, &id) < 0)
            return pn_fail(err, PN_EFORMAT, "config.yaml: model_conf.sil_pdf_ids has \"%.40s\"", item);
        n->silence[n->n_silences++] = (int)id;
    }
    if (n->n_silences == 0)
        n->n_silences = 1; /* output 0 */
    return 0;
}

/* ---- weights ---- */

/* The tensor's values on the heap. */
static int read_values(const struct pn_funasr *m, const char *name, int n_dims, const int64_t *dim,
                       float **ret, struct pn_err *err)
{
    const struct pn_tensor *t = NULL;
    int r = pn_funasr_tensor_of(m, name, n_dims, dim, &t, err);
    if (r < 0)
        return r;
    float *values = malloc((size_t)t->n * sizeof(*values));
    r = values ? pn_tensor_f32(t, 0, t->n, values) : -PN_ENOMEM;
    if (r < 0) {
        free(values);
        return pn_fail(err, (enum pn_error) - r, "%s: %s", name, pn_error_name(r));
    }
    *ret = values;
    return 0;
}

/* NAME.weight [n][k] and, if it has one, NAME.bias [n]. */
static int read_layer(const struct pn_funasr *m, const char *name, int n, int k, bool biased,
                      struct pn_vad_layer *ret, struct pn_err *err)
{
    char full[96];
    float *w = NULL, *bias = NULL;
    snprintf(full, sizeof(full), "encoder.%s.weight", name);
    int r = read_values(m, full, 2, (const int64_t[]){ n, k }, &w, err);
    if (r == 0 && biased) {
        snprintf(full, sizeof(full), "encoder.%s.bias", name);
        r = read_values(m, full, 1, (const int64_t[]){ n }, &bias, err);
    }
    if (r == 0 && pn_vad_layer_init(ret, n, k, w, bias) < 0)
        r = pn_fail(err, PN_ENOMEM, "encoder.%s: out of memory", name);
    free(w);
    free(bias);
    return r;
}

/* [projection][1][order][1] in the file. */
static int read_taps(const struct pn_fsmn_net *n, const struct pn_funasr *m, int i, float **ret,
                     struct pn_err *err)
{
    char name[96];
    float *w = NULL;
    snprintf(name, sizeof(name), "encoder.fsmn.%d.fsmn_block.conv_left.weight", i);
    int r = read_values(m, name, 4, (const int64_t[]){ n->projection, 1, n->order, 1 }, &w, err);
    if (r < 0)
        return r;
    float *taps = malloc((size_t)n->projection * (size_t)n->order * sizeof(*taps));
    for (int c = 0; taps && c < n->projection; c++)
        for (int j = 0; j < n->order; j++)
            taps[j * n->projection + c] = w[c * n->order + j];
    free(w);
    if (!taps)
        return pn_fail(err, PN_ENOMEM, "%s: out of memory", name);
    *ret = taps;
    return 0;
}

static int read_block(struct pn_fsmn_net *n, const struct pn_funasr *m, int i, struct pn_err *err)
{
    char name[64];
    snprintf(name, sizeof(name), "fsmn.%d.linear.linear", i);
    int r = read_layer(m, name, n->projection, n->width, false, &n->block[i].project, err);
    if (r == 0)
        r = read_taps(n, m, i, &n->block[i].taps, err);
    if (r == 0) {
        snprintf(name, sizeof(name), "fsmn.%d.affine.linear", i);
        r = read_layer(m, name, n->width, n->projection, true, &n->block[i].affine, err);
    }
    return r;
}

static int read_weights(struct pn_fsmn_net *n, const struct pn_funasr *m, struct pn_err *err)
{
    int r = read_layer(m, "in_linear1.linear", n->inner, n->input, true, &n->in[0], err);
    if (r == 0)
        r = read_layer(m, "in_linear2.linear", n->width, n->inner, true, &n->in[1], err);
    for (int i = 0; r == 0 && i < n->n_blocks; i++)
        r = read_block(n, m, i, err);
    if (r == 0)
        r = read_layer(m, "out_linear1.linear", n->output_inner, n->width, true, &n->out[0], err);
    if (r == 0)
        r = read_layer(m, "out_linear2.linear", n->outputs, n->output_inner, true, &n->out[1], err);
    return r;
}

int pn_fsmn_net_new(const struct pn_funasr *m, int width, struct pn_fsmn_net **ret, struct pn_err *err)
{
    struct pn_fsmn_net *n = calloc(1, sizeof(*n));
    if (!n)
        return pn_fail(err, PN_ENOMEM, "out of memory");
    int r = read_sizes(n, m, width, err);
    if (r == 0)
        r = read_silences(n, m, err);
    if (r == 0)
        r = read_weights(n, m, err);
    if (r < 0) {
        pn_fsmn_net_free(n);
        return r;
    }
    *ret = n;
    return 0;
}

struct pn_fsmn_net *pn_fsmn_net_free(struct pn_fsmn_net *n)
{
    for (int i = 0; n && i < 2; i++) {
        pn_vad_layer_done(&n->in[i]);
        pn_vad_layer_done(&n->out[i]);
    }
    for (int i = 0; n && i < n->n_blocks; i++) {
        pn_vad_layer_done(&n->block[i].project);
        pn_vad_layer_done(&n->block[i].affine);
        free(n->block[i].taps);
    }
    free(n);
    return NULL;
}

/* ---- rows ---- */

int pn_fsmn_memory_new(const struct pn_fsmn_net *n, struct pn_fsmn_memory **ret)
{
    int past = n->order - 1, inner = PN_MAX(n->inner, n->output_inner),
        last = PN_MAX(n->outputs, n->projection);
    size_t rows = (size_t)n->n_blocks * (size_t)(past + PN_FSMN_BATCH) * (size_t)n->projection;
    size_t room = (size_t)PN_FSMN_BATCH * (size_t)(inner + n->width + last);
    struct pn_fsmn_memory *m = calloc(1, sizeof(*m) + (rows + room) * sizeof(*m->rows));
    if (!m)
        return -PN_ENOMEM;
    m->past = past;
    m->n_blocks = n->n_blocks;
    m->projection = n->projection;
    m->a = m->rows + rows;
    m->b = m->a + PN_FSMN_BATCH * inner;
    m->y = m->b + PN_FSMN_BATCH * n->width;
    *ret = m;
    return 0;
}

struct pn_fsmn_memory *pn_fsmn_memory_free(struct pn_fsmn_memory *m)
{
    free(m);
    return NULL;
}

/* Sum of the softmax at the outputs that mean silence. */
static float silence_share(const struct pn_fsmn_net *n, float *y)
{
    float sum = 0;
    pn_kern()->softmax(y, (size_t)n->outputs);
    for (int i = 0; i < n->n_silences; i++)
        sum += y[n->silence[i]];
    return sum;
}

/* x[m][width] goes through block i, in place. */
static void run_block(const struct pn_fsmn_net *n, struct pn_fsmn_memory *memory, int i, int m, float *x)
{
    const struct block *b = &n->block[i];
    size_t row = (size_t)n->projection;
    float *past = memory->rows + (size_t)i * (size_t)(memory->past + PN_FSMN_BATCH) * row;
    float *now = past + (size_t)memory->past * row, *sum = memory->y;
    pn_vad_layer_run(&b->project, m, x, (size_t)n->width, now, PN_STORE);
    memset(sum, 0, (size_t)m * row * sizeof(*sum));
    pn_kern()->memory(&(struct pn_memory){ .m = m,
                                           .n = n->projection,
                                           .taps = n->order,
                                           .left = memory->past,
                                           .before = memory->past,
                                           .x = now,
                                           .ldx = row,
                                           .w = b->taps,
                                           .y = sum,
                                           .ldy = row });
    pn_vad_layer_run(&b->affine, m, sum, row, x, PN_RELU);
    memmove(past, past + (size_t)m * row, (size_t)memory->past * row * sizeof(*past));
}

void pn_fsmn_run(const struct pn_fsmn_net *n, struct pn_fsmn_memory *memory, int m, const float *x,
                 float *p_silence)
{
    pn_vad_layer_run(&n->in[0], m, x, (size_t)n->input, memory->a, PN_STORE);
    pn_vad_layer_run(&n->in[1], m, memory->a, (size_t)n->inner, memory->b, PN_RELU);
    for (int i = 0; i < n->n_blocks; i++)
        run_block(n, memory, i, m, memory->b);
    pn_vad_layer_run(&n->out[0], m, memory->b, (size_t)n->width, memory->a, PN_STORE);
    pn_vad_layer_run(&n->out[1], m, memory->a, (size_t)n->output_inner, memory->y, PN_STORE);
    for (int t = 0; t < m; t++)
        p_silence[t] = silence_share(n, memory->y + t * n->outputs);
}
