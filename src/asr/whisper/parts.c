/* parts.c - the list of a Whisper's sections.
 *
 * Queries, keys and values are one layer [3S][S], the decoder's keys and values over the encoder's output one
 * [2S][S], so that a row is quantised once and read once. Convolutions are f32 in every precision. */
#include "asr/whisper/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pn_part *add(struct pn_parts *p, enum pn_part_kind kind, int n, int k, const char *name)
{
    struct pn_part *part = &p->part[p->n++];
    *part = (struct pn_part){ .kind = kind, .precision = PN_F32, .n = n, .k = k, .n_sources = 1 };
    (void)snprintf(part->name, sizeof(part->name), "%s", name);
    return part;
}

/* `owner` is the tensor's name up to its last dot; one that ends in '!' has no bias. */
static void add_source(struct pn_part *part, int at, const char *prefix, const char *owner)
{
    int len = (int)strcspn(owner, "!");
    (void)snprintf(part->weight[at], PN_PART_NAME, "%s%.*s.weight", prefix, len, owner);
    if (!owner[len])
        (void)snprintf(part->bias[at], PN_PART_NAME, "%s%s.bias", prefix, owner);
}

static void add_values(struct pn_parts *p, int n, int k, const char *tensor, const float **to)
{
    struct pn_part *part = add(p, PN_PART_VALUES, n, k, tensor);
    (void)snprintf(part->weight[0], PN_PART_NAME, "%s", tensor);
    part->values = to;
}

static void add_norm(struct pn_parts *p, int n, const char *prefix, const char *owner, struct pn_norm *to)
{
    char name[PN_PART_NAME];
    (void)snprintf(name, sizeof(name), "%s%s.weight", prefix, owner);
    add_values(p, 1, n, name, &to->gamma);
    (void)snprintf(name, sizeof(name), "%s%s.bias", prefix, owner);
    add_values(p, 1, n, name, &to->beta);
}

/* `owners`: up to three, below each other. */
static void add_linear(struct pn_parts *p, enum pn_precision precision, int n, int k, const char *prefix,
                       const char *name, const char *const owners[PN_PART_SOURCES], struct pn_linear *to)
{
    char section[PN_PART_NAME];
    (void)snprintf(section, sizeof(section), "%s%s", prefix, name);
    struct pn_part *part = add(p, PN_PART_LINEAR, n, k, section);
    part->precision = precision;
    part->linear = to;
    for (part->n_sources = 0; part->n_sources < PN_PART_SOURCES && owners[part->n_sources]; part->n_sources++)
        add_source(part, part->n_sources, prefix, owners[part->n_sources]);
}

static void add_conv(struct pn_parts *p, int n, int channels, const char *name, struct pn_linear *to)
{
    struct pn_part *part = add(p, PN_PART_CONV, n, 3 * channels, name);
    add_source(part, 0, "", name);
    part->linear = to;
}

static void add_encoder_layer(struct pn_parts *p, enum pn_precision q, int i, int s,
                              struct pn_whisper_encoder_layer *to)
{
    char prefix[32];
    (void)snprintf(prefix, sizeof(prefix), "encoder.blocks.%d.", i);
    add_norm(p, s, prefix, "attn_ln", &to->attn_ln);
    add_norm(p, s, prefix, "mlp_ln", &to->mlp_ln);
    add_linear(p, q, 3 * s, s, prefix, "attn.qkv",
               (const char *const[3]){ "attn.query", "attn.key!", "attn.value" }, &to->qkv);
    add_linear(p, q, s, s, prefix, "attn.out", (const char *const[3]){ "attn.out" }, &to->out);
    add_linear(p, q, 4 * s, s, prefix, "mlp.0", (const char *const[3]){ "mlp.0" }, &to->fc1);
    add_linear(p, q, s, 4 * s, prefix, "mlp.2", (const char *const[3]){ "mlp.2" }, &to->fc2);
}

static void add_decoder_layer(struct pn_parts *p, enum pn_precision q, int i, int s,
                              struct pn_whisper_decoder_layer *to)
{
    char prefix[32];
    (void)snprintf(prefix, sizeof(prefix), "decoder.blocks.%d.", i);
    add_norm(p, s, prefix, "attn_ln", &to->attn_ln);
    add_norm(p, s, prefix, "cross_attn_ln", &to->cross_ln);
    add_norm(p, s, prefix, "mlp_ln", &to->mlp_ln);
    add_linear(p, q, 3 * s, s, prefix, "attn.qkv",
               (const char *const[3]){ "attn.query", "attn.key!", "attn.value" }, &to->qkv);
    add_linear(p, q, s, s, prefix, "attn.out", (const char *const[3]){ "attn.out" }, &to->out);
    add_linear(p, q, s, s, prefix, "cross_attn.query", (const char *const[3]){ "cross_attn.query" },
               &to->cross_q);
    add_linear(p, q, 2 * s, s, prefix, "cross_attn.kv",
               (const char *const[3]){ "cross_attn.key!", "cross_attn.value" }, &to->cross_kv);
    add_linear(p, q, s, s, prefix, "cross_attn.out", (const char *const[3]){ "cross_attn.out" },
               &to->cross_out);
    add_linear(p, q, 4 * s, s, prefix, "mlp.0", (const char *const[3]){ "mlp.0" }, &to->fc1);
    add_linear(p, q, s, 4 * s, prefix, "mlp.2", (const char *const[3]){ "mlp.2" }, &to->fc2);
}

int pn_parts_new(struct pn_whisper *w, struct pn_parts *ret)
{
    const struct pn_whisper_dims *d = &w->dims;
    const int s = d->n_audio_state;
    enum { ENDS = 9, ENCODER_LAYER = 8, DECODER_LAYER = 13 };
    size_t cap = (size_t)(ENDS + ENCODER_LAYER * d->n_audio_layer + DECODER_LAYER * d->n_text_layer);
    struct pn_parts p = { .part = calloc(cap, sizeof(*p.part)) };
    if (!p.part)
        return -PN_ENOMEM;
    add_conv(&p, s, d->n_mels, "encoder.conv1", &w->conv1);
    add_conv(&p, s, s, "encoder.conv2", &w->conv2);
    add_values(&p, d->n_audio_ctx, s, "encoder.positional_embedding", &w->audio_positions);
    for (int i = 0; i < d->n_audio_layer; i++)
        add_encoder_layer(&p, w->precision, i, s, &w->encoder[i]);
    add_norm(&p, s, "encoder.", "ln_post", &w->ln_post);
    add_linear(&p, w->precision, d->n_vocab, s, "decoder.", "token_embedding",
               (const char *const[3]){ "token_embedding!" }, &w->embedding);
    add_values(&p, d->n_text_ctx, s, "decoder.positional_embedding", &w->text_positions);
    for (int i = 0; i < d->n_text_layer; i++)
        add_decoder_layer(&p, w->precision, i, s, &w->decoder[i]);
    add_norm(&p, s, "decoder.", "ln", &w->ln);
    *ret = p;
    return 0;
}

void pn_parts_done(struct pn_parts *p)
{
    free(p->part);
    *p = (struct pn_parts){ 0 };
}

size_t pn_part_size(const struct pn_part *p)
{
    if (p->kind == PN_PART_VALUES)
        return (size_t)p->n * (size_t)p->k * sizeof(float);
    return pn_linear_packed_size(p->precision, p->n, p->k);
}
