/* weights.c - see weights.h. */
#include "asr/sanm/weights.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_WIDTH = 4096, MAX_HIDDEN = 16384, MAX_BLOCKS = 256, MAX_KERNEL = 63, MAX_HEAD = 128 };

/* Dimension `i` of a tensor of block 0. */
static int dim_of(const struct pn_funasr *f, const char *name, int i, int max, int *ret, struct pn_err *err)
{
    char full[96];
    (void)snprintf(full, sizeof(full), "encoder.encoders0.0.%s", name);
    return pn_funasr_dim(f, full, i, max, ret, err);
}

static int read_sizes(const struct pn_funasr *f, struct pn_sanm *m, struct pn_err *err)
{
    int r = dim_of(f, "norm1.weight", 0, MAX_WIDTH, &m->in, err);
    if (r == 0)
        r = dim_of(f, "norm2.weight", 0, MAX_WIDTH, &m->size, err);
    if (r == 0)
        r = dim_of(f, "feed_forward.w_1.weight", 0, MAX_HIDDEN, &m->hidden, err);
    if (r == 0)
        r = dim_of(f, "self_attn.fsmn_block.weight", 2, MAX_KERNEL, &m->kernel, err);
    m->n_blocks = 1 + pn_funasr_count(f, "encoder.encoders.", ".norm1.weight", MAX_BLOCKS);
    return r;
}

static int read_options(const struct pn_funasr *f, struct pn_sanm *m, struct pn_err *err)
{
    int64_t heads = 0, shift = 0;
    int r = pn_funasr_int(f, "encoder_conf.attention_heads", 1, 64, 4, &heads, err);
    if (r == 0)
        r = pn_funasr_int(f, "encoder_conf.sanm_shfit", 0, MAX_KERNEL, 0, &shift, err);
    if (r < 0)
        return r;
    m->heads = (int)heads;
    m->left = PN_MIN((m->kernel - 1) / 2 + (int)shift, m->kernel - 1);
    if (m->size % m->heads != 0 || m->size / m->heads > MAX_HEAD)
        return pn_fail(err, PN_EFORMAT, "config.yaml: %d heads do not fit an encoder %d wide", m->heads,
                       m->size);
    if (m->in % 2 != 0 || m->in < 4)
        return pn_fail(err, PN_EFORMAT, "model.pt: an encoder whose input is %d wide has no positions",
                       m->in);
    return 0;
}

int pn_sanm_measure(const struct pn_funasr *f, enum pn_precision precision, struct pn_sanm *ret,
                    struct pn_err *err)
{
    struct pn_sanm m = { .precision = precision };
    int r = read_sizes(f, &m, err);
    if (r == 0)
        r = read_options(f, &m, err);
    if (r == 0 && !(m.block = calloc((size_t)m.n_blocks, sizeof(*m.block))))
        r = pn_fail(err, PN_ENOMEM, "no memory for an encoder");
    if (r == 0)
        *ret = m;
    return r;
}

void pn_sanm_done(struct pn_sanm *m)
{
    free(m->block);
    *m = (struct pn_sanm){ 0 };
}

static void add_block(struct pn_parts *p, const struct pn_sanm *m, int in, struct pn_sanm_block *b)
{
    const enum pn_precision q = m->precision;
    pn_parts_norm(p, in, "norm1", &b->norm1);
    pn_parts_linear(p, q, 3 * m->size, in, "self_attn.linear_q_k_v", true, &b->qkv);
    pn_parts_turned(p, m->size, m->kernel, "self_attn.fsmn_block.weight", &b->taps);
    pn_parts_linear(p, q, m->size, m->size, "self_attn.linear_out", true, &b->out);
    pn_parts_norm(p, m->size, "norm2", &b->norm2);
    pn_parts_linear(p, q, m->hidden, m->size, "feed_forward.w_1", true, &b->w1);
    pn_parts_linear(p, q, m->size, m->hidden, "feed_forward.w_2", true, &b->w2);
}

void pn_sanm_parts(struct pn_sanm *m, struct pn_parts *p)
{
    for (int i = 0; i < m->n_blocks; i++) {
        if (i == 0)
            pn_parts_prefix(p, "encoder.encoders0.0.");
        else
            pn_parts_prefix(p, "encoder.encoders.%d.", i - 1);
        add_block(p, m, i == 0 ? m->in : m->size, &m->block[i]);
    }
    pn_parts_prefix(p, "encoder.");
    pn_parts_norm(p, m->size, "after_norm", &m->after);
}
