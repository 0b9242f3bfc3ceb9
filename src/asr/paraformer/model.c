/* model.c - opening a Paraformer: its sizes, then the list of its parts, by which it is packed once and
 * mapped ever after. The predictor and the hot word encoder are f32 in every precision. */
#include "asr/paraformer/model.h"

#include "asr/pack.h"
#include "asr/paraformer/seaco.h"
#include "asr/sanm/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYOUT = 2 };

/* ---- parts ---- */

static void add_feed_forward(struct pn_parts *p, enum pn_precision q, const struct pn_pf_stack *s,
                             struct pn_pf_feed_forward *ff)
{
    pn_parts_norm(p, s->size, "norm1", &ff->norm1);
    pn_parts_linear(p, q, s->hidden, s->size, "feed_forward.w_1", true, &ff->w1);
    pn_parts_norm(p, s->hidden, "feed_forward.norm", &ff->inner);
    pn_parts_linear(p, q, s->size, s->hidden, "feed_forward.w_2", false, &ff->w2);
}

static void add_decoder(struct pn_parts *p, const char *prefix, struct pn_pf_decoder *d)
{
    const struct pn_pf_stack *s = &d->dims;
    for (int i = 0; i < s->n_cross + s->n_plain; i++) {
        struct pn_pf_decoder_block *b = &d->block[i];
        bool cross = i < s->n_cross;
        pn_parts_prefix(p, cross ? "%sdecoders.%d." : "%sdecoders2.%d.", prefix, cross ? i : i - s->n_cross);
        add_feed_forward(p, d->precision, s, &b->ff);
        pn_parts_norm(p, s->size, "norm2", &b->norm2);
        pn_parts_turned(p, s->size, s->kernel, "self_attn.fsmn_block.weight", &b->taps);
        if (!cross)
            continue;
        pn_parts_norm(p, s->size, "norm3", &b->norm3);
        pn_parts_linear(p, d->precision, s->size, s->size, "src_attn.linear_q", true, &b->q);
        pn_parts_linear(p, d->precision, 2 * s->size, s->size, "src_attn.linear_k_v", true, &b->kv);
        pn_parts_linear(p, d->precision, s->size, s->size, "src_attn.linear_out", true, &b->out);
    }
    pn_parts_prefix(p, "%sdecoders3.0.", prefix);
    add_feed_forward(p, d->precision, s, &d->last);
    pn_parts_prefix(p, "%s", prefix);
    pn_parts_norm(p, s->size, "after_norm", &d->after);
}

/* One direction of one layer; `suffix` as in "l0_reverse". */
static void add_lstm(struct pn_parts *p, enum pn_precision q, int size, const char *name, const char *suffix,
                     struct pn_lstm *l)
{
    static const char *const HALF[] = { "ih", "hh" };
    struct pn_linear *to[] = { &l->input, &l->recurrent };
    for (size_t i = 0; i < PN_ARRAY_LEN(HALF); i++) {
        char weight[PN_PART_NAME], bias[PN_PART_NAME];
        (void)snprintf(weight, sizeof(weight), "%s.weight_%s_%s", name, HALF[i], suffix);
        (void)snprintf(bias, sizeof(bias), "%s.bias_%s_%s", name, HALF[i], suffix);
        pn_parts_stack(p, q, 4 * size, size, weight, to[i]);
        pn_parts_source(p, weight, bias, NULL);
    }
}

static void add_predictor(struct pn_parts *p, struct pn_paraformer *m)
{
    const int size = m->encoder.size;
    pn_parts_prefix(p, "predictor.");
    pn_parts_conv(p, PN_F32, size, size, 3, "cif_conv1d", &m->predictor.conv);
    pn_parts_values(p, 1, size, "cif_output.weight", &m->predictor.weight);
    pn_parts_values(p, 1, 1, "cif_output.bias", &m->predictor.bias);
    if (m->dims.upsample == 0)
        return;
    pn_parts_transposed(p, m->precision, size, size, m->dims.upsample, "upsample_cnn", &m->head.up);
    add_lstm(p, m->precision, size, "blstm", "l0", &m->head.forward);
    add_lstm(p, m->precision, size, "blstm", "l0_reverse", &m->head.backward);
    pn_parts_values(p, 1, 2 * size, "cif_output2.weight", &m->head.weight);
    pn_parts_values(p, 1, 1, "cif_output2.bias", &m->head.bias);
}

static void add_seaco(struct pn_parts *p, struct pn_paraformer *m)
{
    const int size = m->encoder.size;
    if (m->dims.seaco.n_cross == 0)
        return;
    pn_parts_prefix(p, "%s", "");
    pn_parts_values(p, m->dims.n_vocab, size, "decoder.embed.0.weight", &m->seaco.embedding);
    add_lstm(p, PN_F32, size, "bias_encoder", "l0", &m->seaco.lstm[0]);
    add_lstm(p, PN_F32, size, "bias_encoder", "l1", &m->seaco.lstm[1]);
    pn_parts_linear(p, m->precision, m->dims.n_vocab, size, "hotword_output_layer", true, &m->seaco.output);
    add_decoder(p, "seaco_decoder.", &m->seaco.decoder);
}

static int list_parts(struct pn_paraformer *m, struct pn_parts *p)
{
    pn_sanm_parts(&m->encoder, p);
    add_predictor(p, m);
    add_decoder(p, "decoder.", &m->decoder);
    pn_parts_prefix(p, "decoder.");
    pn_parts_linear(p, m->precision, m->dims.n_vocab, m->encoder.size, "output_layer", true, &m->output);
    add_seaco(p, m);
    return pn_parts_check(p);
}

/* ---- opening ---- */

static int make_decoder(struct pn_pf_decoder *d, const struct pn_pf_stack *s, enum pn_precision q)
{
    *d = (struct pn_pf_decoder){ .precision = q, .dims = *s };
    d->block = calloc((size_t)(s->n_cross + s->n_plain), sizeof(*d->block));
    return d->block ? 0 : -PN_ENOMEM;
}

static int make_decoders(struct pn_paraformer *m)
{
    int r = make_decoder(&m->decoder, &m->dims.decoder, m->precision);
    if (r == 0 && m->dims.seaco.n_cross > 0) {
        r = make_decoder(&m->seaco.decoder, &m->dims.seaco, m->precision);
        if (r == 0 && !(m->hot_lists = pn_hot_lists_new()))
            r = -PN_ENOMEM;
    }
    return r;
}

static int make_front_end(struct pn_paraformer *m)
{
    size_t n;
    const struct pn_fbank_options opt = { .n_mels = m->dims.n_mels,
                                          .lfr_m = m->dims.lfr_m,
                                          .lfr_n = m->dims.lfr_n,
                                          .povey = m->dims.povey,
                                          .shift = pn_funasr_cmvn_shift(m->folder, &n),
                                          .scale = pn_funasr_cmvn_scale(m->folder, &n) };
    return pn_fbank_new(&opt, &m->fbank);
}

static int load(struct pn_paraformer *m, const struct pn_paraformer_options *opt, struct pn_err *err)
{
    struct pn_parts parts = { 0 };
    int r = list_parts(m, &parts);
    if (r == 0) {
        const struct pn_pack_job job = { .key = { "paraformer", pn_precision_name(m->precision), LAYOUT,
                                                  pn_funasr_id(m->folder) },
                                         .parts = &parts,
                                         .find = pn_find_funasr_tensor,
                                         .from = m->folder,
                                         .path = opt->path,
                                         .cache_dir = opt->cache_dir ? opt->cache_dir : "",
                                         .no_packed_file = opt->no_packed_file,
                                         .pool = opt->pool,
                                         .progress = opt->progress,
                                         .ctx = opt->ctx };
        r = pn_pack_open(&job, &m->packed, err);
    }
    pn_parts_done(&parts);
    return r;
}

/* The folder's own name, where none is given. */
static void set_name(struct pn_paraformer *m, const struct pn_paraformer_options *opt)
{
    struct pn_str s = pn_str(opt->path);
    while (s.len > 1 && s.ptr[s.len - 1] == '/')
        s.len--;
    const char *slash = memrchr(s.ptr, '/', s.len);
    if (slash)
        s = (struct pn_str){ slash + 1, s.len - (size_t)(slash + 1 - s.ptr) };
    if (opt->name && opt->name[0])
        s = pn_str(opt->name);
    (void)snprintf(m->name, sizeof(m->name), "%.*s", (int)PN_MIN(s.len, sizeof(m->name) - 1), s.ptr);
}

int pn_paraformer_open(const struct pn_paraformer_options *opt, struct pn_paraformer **ret,
                       struct pn_err *err)
{
    struct pn_paraformer *m = calloc(1, sizeof(*m));
    int r = m ? pn_funasr_open(opt->path, &m->folder, err) : -PN_ENOMEM;
    if (r == 0)
        r = pn_pf_check_class(m->folder, err);
    if (r == 0)
        r = pn_sanm_measure(m->folder, opt->precision, &m->encoder, err);
    if (r == 0)
        r = pn_pf_dims_read(m->folder, &m->encoder, &m->dims, err);
    if (r == 0) {
        m->precision = opt->precision;
        m->streaming = strcmp(pn_funasr_class(m->folder), "ParaformerStreaming") == 0;
        set_name(m, opt);
        r = make_decoders(m);
    }
    if (r == 0)
        r = make_front_end(m);
    if (r == 0)
        r = load(m, opt, err);
    if (r == 0)
        pn_funasr_close_weights(m->folder);
    if (r < 0) {
        pn_paraformer_close(m);
        return pn_fail(err, (enum pn_error) - r, "%s: %s", opt->path, pn_error_name(r));
    }
    *ret = m;
    return 0;
}

struct pn_paraformer *pn_paraformer_close(struct pn_paraformer *m)
{
    if (!m)
        return NULL;
    pn_hot_lists_free(m->hot_lists);
    pn_fbank_free(m->fbank);
    pn_packed_close(m->packed);
    pn_funasr_close(m->folder);
    pn_sanm_done(&m->encoder);
    free(m->decoder.block);
    free(m->seaco.decoder.block);
    free(m);
    return NULL;
}

bool pn_paraformer_is_streaming(const struct pn_paraformer *m)
{
    return m->streaming;
}
