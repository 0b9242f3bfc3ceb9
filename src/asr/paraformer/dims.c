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

/* Blocks `prefix``i`. that have `name`, from 0 on. */
static int count_blocks(const struct pn_funasr *f, const char *prefix, const char *name)
{
    char full[128];
    int n = 0;
    do
        (void)snprintf(full, sizeof(full), "%s%d.%s", prefix, n, name);
    while (pn_funasr_tensor(f, full) && ++n < MAX_BLOCKS);
    return n;
}

/* Dimension `i` of a tensor that has to be there. */
static int dim_of(const struct pn_funasr *f, const char *prefix, const char *name, int i, int max, int *ret,
                  struct pn_err *err)
{
    const struct pn_tensor *t = tensor(f, prefix, name);
    if (!t || i >= t->n_dims)
        return pn_fail(err, PN_EFORMAT, "model.pt: tensor %s%s is missing or of another shape", prefix, name);
    if (t->dim[i] < 1 || t->dim[i] > max)
        return pn_fail(err, PN_EFORMAT, "model.pt: tensor %s%s: dimension %lld is not in 1..%d", prefix, name,
                       (long long)t->dim[i], max);
    *ret = (int)t->dim[i];
    return 0;
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

static int read_encoder(const struct pn_funasr *f, struct pn_pf_dims *d, struct pn_err *err)
{
    int r = read_stack(f, "encoder_conf", "encoder.encoders0.0.", &d->encoder, err);
    d->encoder.n_plain = 1 + count_blocks(f, "encoder.encoders.", "norm1.weight");
    return r;
}

/* `prefix`: "decoder." or "seaco_decoder.". */
static int read_decoder(const struct pn_funasr *f, const char *section, const char *prefix, int size,
                        struct pn_pf_stack *s, struct pn_err *err)
{
    char blocks[64];
    (void)snprintf(blocks, sizeof(blocks), "%sdecoders.", prefix);
    s->n_cross = count_blocks(f, blocks, "src_attn.linear_q.weight");
    (void)snprintf(blocks, sizeof(blocks), "%sdecoders2.", prefix);
    s->n_plain = count_blocks(f, blocks, "norm1.weight");
    (void)snprintf(blocks, sizeof(blocks), "%sdecoders.0.", prefix);
    int r = read_stack(f, section, blocks, s, err);
    if (r == 0 && s->size != size)
        r = pn_fail(err, PN_EFORMAT, "%s is %d wide, the encoder %d", prefix, s->size, size);
    return r;
}

static int read_front_end(const struct pn_funasr *f, struct pn_pf_dims *d, struct pn_err *err)
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

static int read_seaco(const struct pn_funasr *f, struct pn_pf_dims *d, struct pn_err *err)
{
    int64_t no_bias;
    int r = read_decoder(f, "seaco_decoder_conf", "seaco_decoder.", d->encoder.size, &d->seaco, err);
    if (r == 0)
        r = pn_funasr_int(f, "model_conf.NO_BIAS", 0, d->n_vocab - 1, PN_MIN(8377, d->n_vocab - 1), &no_bias,
                          err);
    if (r == 0)
        d->no_bias = (int)no_bias;
    return r;
}

static bool is_known_class(const char *name)
{
    static const char *const KNOWN[] = { "Paraformer", "BiCifParaformer", "SeacoParaformer",
                                         "ParaformerStreaming" };
    for (size_t i = 0; i < PN_ARRAY_LEN(KNOWN); i++)
        if (strcmp(name, KNOWN[i]) == 0)
            return true;
    return false;
}

int pn_pf_dims_read(const struct pn_funasr *f, struct pn_pf_dims *ret, struct pn_err *err)
{
    struct pn_pf_dims d = { 0 };
    if (!is_known_class(pn_funasr_class(f)))
        return pn_fail(err, PN_EUNSUPPORTED, "a model of class %.40s is no recogniser that is known",
                       pn_funasr_class(f));
    int r = read_encoder(f, &d, err);
    if (r == 0)
        r = read_front_end(f, &d, err);
    if (r == 0)
        r = read_predictor(f, &d, err);
    if (r == 0)
        r = read_decoder(f, "decoder_conf", "decoder.", d.encoder.size, &d.decoder, err);
    if (r == 0)
        r = dim_of(f, "decoder.", "output_layer.weight", 0, MAX_VOCAB, &d.n_vocab, err);
    if (r == 0 && (size_t)d.n_vocab != pn_funasr_n_tokens(f))
        r = pn_fail(err, PN_EFORMAT, "the token list has %zu entries, the model %d", pn_funasr_n_tokens(f),
                    d.n_vocab);
    if (r == 0 && strcmp(pn_funasr_class(f), "SeacoParaformer") == 0)
        r = read_seaco(f, &d, err);
    if (r == 0)
        *ret = d;
    return r;
}
