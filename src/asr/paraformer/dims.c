/* dims.c - the sizes of a model. Numbers that a tensor shows are taken from the tensor: a configuration that
 * disagrees with its weights (the hot word decoder's num_blocks does) is not worth refusing a model for. */
#include "asr/paraformer/model.h"

#include <stdio.h>
#include <string.h>

enum { MAX_SIZE = 4096, MAX_HIDDEN = 16384, MAX_BLOCKS = 256, MAX_KERNEL = 63, MAX_VOCAB = 1 << 20 };

static const struct pn_tensor *tensor(const struct pn_funasr *f, const char *prefix, const char *name)
{
    char full[128];
    int n = snprintf(full, sizeof(full), "%s%s", prefix, name);
    return n > 0 && n < (int)sizeof(full) ? pn_funasr_tensor(f, full) : NULL;
}

/* Dimension `i` of a tensor that has to be there. */
static int dim_of(const struct pn_funasr *f, const char *prefix, const char *name, int i, int max, int *ret,
                  struct pn_err *err)
{
    char full[128];
    (void)snprintf(full, sizeof(full), "%s%s", prefix, name);
    return pn_funasr_dim(f, full, i, max, ret, err);
}

/* A number of a section of the configuration ("encoder_conf"). */
static int number(const struct pn_funasr *f, const char *section, const char *key, int min, int max,
                  int fallback, int *ret, struct pn_err *err)
{
    char full[96];
    int64_t v;
    (void)snprintf(full, sizeof(full), "%s.%s", section, key);
    int r = pn_funasr_int(f, full, min, max, fallback, &v, err);
    if (r == 0)
        *ret = (int)v;
    return r;
}

static int real(const struct pn_funasr *f, const char *key, double min, double max, double fallback,
                double *ret, struct pn_err *err)
{
    char full[96];
    (void)snprintf(full, sizeof(full), "predictor_conf.%s", key);
    return pn_funasr_real(f, full, min, max, fallback, ret, err);
}

/* What a configuration says of a stack: heads and the place of the taps. `at`: block 0 in the weights. */
static int read_stack(const struct pn_funasr *f, const char *section, const char *at, struct pn_pf_stack *s,
                      struct pn_err *err)
{
    int shift = 0;
    int r = number(f, section, "attention_heads", 1, 64, 4, &s->heads, err);
    if (r == 0)
        r = number(f, section, "sanm_shfit", 0, MAX_KERNEL, 0, &shift, err);
    if (r == 0)
        r = dim_of(f, at, "self_attn.fsmn_block.weight", 2, MAX_KERNEL, &s->kernel, err);
    if (r == 0)
        r = dim_of(f, at, "feed_forward.w_1.weight", 0, MAX_HIDDEN, &s->hidden, err);
    if (r == 0)
        r = dim_of(f, at, "feed_forward.w_2.weight", 0, MAX_SIZE, &s->size, err);
    if (r < 0)
        return r;
    s->left = PN_MIN((s->kernel - 1) / 2 + shift, s->kernel - 1);
    if (s->size % s->heads != 0 || s->size / s->heads > 128)
        return pn_fail(err, PN_EFORMAT, "%s: %d heads do not fit a width of %d", section, s->heads, s->size);
    return 0;
}

/* `prefix`: "decoder." or "seaco_decoder.". */
static int read_decoder(const struct pn_funasr *f, const char *section, const char *prefix, int size,
                        struct pn_pf_stack *s, struct pn_err *err)
{
    char blocks[64];
    (void)snprintf(blocks, sizeof(blocks), "%sdecoders.", prefix);
    s->n_cross = pn_funasr_count(f, blocks, ".src_attn.linear_q.weight", MAX_BLOCKS);
    (void)snprintf(blocks, sizeof(blocks), "%sdecoders2.", prefix);
    s->n_plain = pn_funasr_count(f, blocks, ".norm1.weight", MAX_BLOCKS);
    (void)snprintf(blocks, sizeof(blocks), "%sdecoders.0.", prefix);
    int r = read_stack(f, section, blocks, s, err);
    if (r == 0 && s->size != size)
        r = pn_fail(err, PN_EFORMAT, "%s is %d wide, the encoder %d", prefix, s->size, size);
    return r;
}

static int read_front_end(const struct pn_funasr *f, int width, struct pn_pf_dims *d, struct pn_err *err)
{
    const char *window = pn_funasr_str(f, "frontend_conf.window", "hamming");
    int rate = 16000;
    int r = number(f, "frontend_conf", "n_mels", 1, 128, 80, &d->n_mels, err);
    if (r == 0)
        r = number(f, "frontend_conf", "lfr_m", 1, 16, 7, &d->lfr_m, err);
    if (r == 0)
        r = number(f, "frontend_conf", "lfr_n", 1, 16, 6, &d->lfr_n, err);
    if (r == 0)
        r = number(f, "frontend_conf", "fs", 1, 1000000, 16000, &rate, err);
    if (r < 0)
        return r;
    d->povey = strcmp(window, "povey") == 0;
    if (rate != 16000 || (!d->povey && strcmp(window, "hamming") != 0))
        return pn_fail(err, PN_EUNSUPPORTED,
                       "config.yaml: a front-end of %d Hz with a %.20s window is not known", rate, window);
    size_t n;
    pn_funasr_cmvn_shift(f, &n);
    if (n != 0 && n != (size_t)(d->n_mels * d->lfr_m))
        return pn_fail(err, PN_EFORMAT, "am.mvn holds %zu values, the front-end makes %d", n,
                       d->n_mels * d->lfr_m);
    if (width != d->n_mels * d->lfr_m)
        return pn_fail(err, PN_EFORMAT, "the encoder takes %d values, the front-end makes %d", width,
                       d->n_mels * d->lfr_m);
    return 0;
}

static int read_predictor(const struct pn_funasr *f, struct pn_pf_dims *d, struct pn_err *err)
{
    int r = real(f, "threshold", 0.1, 10, 1.0, &d->threshold, err);
    if (r == 0)
        r = real(f, "tail_threshold", 0, 1, 0, &d->tail, err);
    if (r == 0)
        r = real(f, "smooth_factor", 0, 10, 1.0, &d->smooth, err);
    if (r == 0)
        r = real(f, "noise_threshold", 0, 1, 0, &d->noise, err);
    if (r < 0 || !tensor(f, "predictor.", "cif_output2.weight"))
        return r;
    const char *type = pn_funasr_str(f, "predictor_conf.upsample_type", "cnn_blstm");
    bool use_cnn = false;
    r = pn_funasr_bool(f, "predictor_conf.use_cif1_cnn", false, &use_cnn, err);
    if (r == 0 && (use_cnn || strcmp(type, "cnn_blstm") != 0))
        return 0; /* another head: the text needs none, and times are not worth refusing the model */
    if (r == 0)
        r = dim_of(f, "predictor.", "upsample_cnn.weight", 2, 16, &d->upsample, err);
    if (r == 0)
        r = real(f, "smooth_factor2", 0, 10, 1.0, &d->smooth2, err);
    if (r == 0)
        r = real(f, "noise_threshold2", 0, 1, 0, &d->noise2, err);
    return r;
}

static int read_seaco(const struct pn_funasr *f, int size, struct pn_pf_dims *d, struct pn_err *err)
{
    int64_t no_bias;
    int r = read_decoder(f, "seaco_decoder_conf", "seaco_decoder.", size, &d->seaco, err);
    if (r == 0)
        r = pn_funasr_int(f, "model_conf.NO_BIAS", 0, d->n_vocab - 1, PN_MIN(8377, d->n_vocab - 1), &no_bias,
                          err);
    if (r == 0)
        d->no_bias = (int)no_bias;
    return r;
}

int pn_pf_check_class(const struct pn_funasr *f, struct pn_err *err)
{
    static const char *const KNOWN[] = { "Paraformer", "BiCifParaformer", "SeacoParaformer",
                                         "ParaformerStreaming" };
    for (size_t i = 0; i < PN_ARRAY_LEN(KNOWN); i++)
        if (strcmp(pn_funasr_class(f), KNOWN[i]) == 0)
            return 0;
    return pn_fail(err, PN_EUNSUPPORTED, "a model of class %.40s is no recogniser that is known",
                   pn_funasr_class(f));
}

int pn_pf_dims_read(const struct pn_funasr *f, const struct pn_sanm *encoder, struct pn_pf_dims *ret,
                    struct pn_err *err)
{
    struct pn_pf_dims d = { 0 };
    int r = read_front_end(f, encoder->in, &d, err);
    if (r == 0)
        r = read_predictor(f, &d, err);
    if (r == 0)
        r = read_decoder(f, "decoder_conf", "decoder.", encoder->size, &d.decoder, err);
    if (r == 0)
        r = dim_of(f, "decoder.", "output_layer.weight", 0, MAX_VOCAB, &d.n_vocab, err);
    if (r == 0 && (size_t)d.n_vocab != pn_funasr_n_tokens(f))
        r = pn_fail(err, PN_EFORMAT, "the token list has %zu entries, the model %d", pn_funasr_n_tokens(f),
                    d.n_vocab);
    if (r == 0 && strcmp(pn_funasr_class(f), "SeacoParaformer") == 0)
        r = read_seaco(f, encoder->size, &d, err);
    if (r == 0)
        *ret = d;
    return r;
}
