/* parts.c - the list of a Whisper's sections.
 *
 * Queries, keys and values are one layer [3S][S], the decoder's keys and values over the encoder's output one
 * [2S][S], so that a row is quantised once and read once. Convolutions are f32 in every precision. */
#include "asr/whisper/parts.h"

static void add_qkv(struct pn_parts *p, enum pn_precision q, int s, struct pn_linear *to)
{
    pn_parts_stack(p, q, 3 * s, s, "attn.qkv", to);
    pn_parts_owner(p, "attn.query", true);
    pn_parts_owner(p, "attn.key", false);
    pn_parts_owner(p, "attn.value", true);
}

static void add_encoder_layer(struct pn_parts *p, enum pn_precision q, int s,
                              struct pn_whisper_encoder_layer *to)
{
    pn_parts_norm(p, s, "attn_ln", &to->attn_ln);
    pn_parts_norm(p, s, "mlp_ln", &to->mlp_ln);
    add_qkv(p, q, s, &to->qkv);
    pn_parts_linear(p, q, s, s, "attn.out", true, &to->out);
    pn_parts_linear(p, q, 4 * s, s, "mlp.0", true, &to->fc1);
    pn_parts_linear(p, q, s, 4 * s, "mlp.2", true, &to->fc2);
}

static void add_decoder_layer(struct pn_parts *p, enum pn_precision q, int s,
                              struct pn_whisper_decoder_layer *to)
{
    pn_parts_norm(p, s, "attn_ln", &to->attn_ln);
    pn_parts_norm(p, s, "cross_attn_ln", &to->cross_ln);
    pn_parts_norm(p, s, "mlp_ln", &to->mlp_ln);
    add_qkv(p, q, s, &to->qkv);
    pn_parts_linear(p, q, s, s, "attn.out", true, &to->out);
    pn_parts_linear(p, q, s, s, "cross_attn.query", true, &to->cross_q);
    pn_parts_stack(p, q, 2 * s, s, "cross_attn.kv", &to->cross_kv);
    pn_parts_owner(p, "cross_attn.key", false);
    pn_parts_owner(p, "cross_attn.value", true);
    pn_parts_linear(p, q, s, s, "cross_attn.out", true, &to->cross_out);
    pn_parts_linear(p, q, 4 * s, s, "mlp.0", true, &to->fc1);
    pn_parts_linear(p, q, s, 4 * s, "mlp.2", true, &to->fc2);
}

static void add_encoder(struct pn_whisper *w, struct pn_parts *p)
{
    const struct pn_whisper_dims *d = &w->dims;
    const int s = d->n_audio_state;
    pn_parts_prefix(p, "encoder.");
    pn_parts_conv(p, PN_F32, s, d->n_mels, 3, "conv1", &w->conv1);
    pn_parts_conv(p, PN_F32, s, s, 3, "conv2", &w->conv2);
    pn_parts_values(p, d->n_audio_ctx, s, "positional_embedding", &w->audio_positions);
    pn_parts_norm(p, s, "ln_post", &w->ln_post);
    for (int i = 0; i < d->n_audio_layer; i++) {
        pn_parts_prefix(p, "encoder.blocks.%d.", i);
        add_encoder_layer(p, w->precision, s, &w->encoder[i]);
    }
}

static void add_decoder(struct pn_whisper *w, struct pn_parts *p)
{
    const struct pn_whisper_dims *d = &w->dims;
    const int s = d->n_text_state;
    pn_parts_prefix(p, "decoder.");
    pn_parts_linear(p, w->precision, d->n_vocab, s, "token_embedding", false, &w->embedding);
    pn_parts_values(p, d->n_text_ctx, s, "positional_embedding", &w->text_positions);
    pn_parts_norm(p, s, "ln", &w->ln);
    for (int i = 0; i < d->n_text_layer; i++) {
        pn_parts_prefix(p, "decoder.blocks.%d.", i);
        add_decoder_layer(p, w->precision, s, &w->decoder[i]);
    }
}

void pn_whisper_parts(struct pn_whisper *w, struct pn_parts *p)
{
    add_encoder(w, p);
    add_decoder(w, p);
}
