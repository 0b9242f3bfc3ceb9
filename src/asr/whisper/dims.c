/* dims.c - a Whisper's ten sizes: where each container keeps them, and which can be right.
 *
 * The limits bound what a damaged or hostile file can make the program allocate before a single tensor has
 * been looked at; the largest published model uses a fifth of them. */
#include "asr/whisper/dims.h"

#include <stddef.h>

struct size_entry {
    const char *name;    /* OpenAI's and ggml's */
    const char *hf_name; /* config.json */
    size_t offset;
    int min, max;
};

#define DIM(field, hf, min, max)                                      \
    {                                                                 \
#field, hf, offsetof(struct pn_whisper_dims, field), min, max \
    }

static const struct size_entry SIZES[] = {
    DIM(n_mels, "num_mel_bins", 1, 256),
    DIM(n_audio_ctx, "max_source_positions", 1, 8192),
    DIM(n_audio_state, "d_model", 1, 8192),
    DIM(n_audio_head, "encoder_attention_heads", 1, 128),
    DIM(n_audio_layer, "encoder_layers", 1, 256),
    DIM(n_vocab, "vocab_size", PN_VOCAB_MIN, PN_VOCAB_MAX),
    DIM(n_text_ctx, "max_target_positions", PN_WHISPER_MIN_TEXT, PN_WHISPER_MAX_TEXT),
    DIM(n_text_state, "d_model", 1, 8192),
    DIM(n_text_head, "decoder_attention_heads", 1, 128),
    DIM(n_text_layer, "decoder_layers", 1, 256),
};

static int *size_at(struct pn_whisper_dims *d, const struct size_entry *s)
{
    return (int *)(void *)((char *)d + s->offset);
}

int pn_whisper_dims_check(const struct pn_whisper_dims *d, struct pn_err *err)
{
    struct pn_whisper_dims copy = *d;
    for (size_t i = 0; i < PN_ARRAY_LEN(SIZES); i++) {
        int v = *size_at(&copy, &SIZES[i]);
        if (v < SIZES[i].min || v > SIZES[i].max)
            return pn_fail(err, PN_EFORMAT, "%s is %d; it must lie in %d..%d", SIZES[i].name, v, SIZES[i].min,
                           SIZES[i].max);
    }
    if (d->n_audio_state != d->n_text_state)
        return pn_fail(err, PN_EFORMAT, "n_audio_state %d and n_text_state %d differ", d->n_audio_state,
                       d->n_text_state);
    if (d->n_audio_head * PN_WHISPER_HEAD != d->n_audio_state)
        return pn_fail(err, PN_EFORMAT, "n_audio_head %d does not divide n_audio_state %d into heads of %d",
                       d->n_audio_head, d->n_audio_state, PN_WHISPER_HEAD);
    if (d->n_text_head * PN_WHISPER_HEAD != d->n_text_state)
        return pn_fail(err, PN_EFORMAT, "n_text_head %d does not divide n_text_state %d into heads of %d",
                       d->n_text_head, d->n_text_state, PN_WHISPER_HEAD);
    return 0;
}

/* Numbers of config.json that would change the arithmetic, where they are stated. */
static int check_hf(const struct pn_checkpoint *c, const struct pn_whisper_dims *d, struct pn_err *err)
{
    static const char *const FFN[] = { "encoder_ffn_dim", "decoder_ffn_dim" };
    int64_t v;
    for (size_t i = 0; i < PN_ARRAY_LEN(FFN); i++) {
        if (pn_checkpoint_int(c, FFN[i], &v) == 0 && v != 4 * (int64_t)d->n_audio_state)
            return pn_fail(err, PN_EFORMAT, "%s is %lld; it must be four times d_model", FFN[i],
                           (long long)v);
    }
    if (pn_checkpoint_int(c, "scale_embedding", &v) == 0 && v != 0)
        return pn_fail(err, PN_EUNSUPPORTED, "scale_embedding is set in config.json");
    return 0;
}

int pn_whisper_dims_read(const struct pn_checkpoint *c, struct pn_whisper_dims *ret, struct pn_err *err)
{
    bool hf = pn_checkpoint_kind(c) == PN_CHECKPOINT_HF;
    struct pn_whisper_dims d;
    for (size_t i = 0; i < PN_ARRAY_LEN(SIZES); i++) {
        const char *name = hf ? SIZES[i].hf_name : SIZES[i].name;
        int64_t v = 0;
        if (pn_checkpoint_int(c, name, &v) < 0)
            return pn_fail(err, PN_EFORMAT, "not a Whisper checkpoint: it does not state %s", name);
        if (v < SIZES[i].min || v > SIZES[i].max)
            return pn_fail(err, PN_EFORMAT, "%s is %lld; it must lie in %d..%d", name, (long long)v,
                           SIZES[i].min, SIZES[i].max);
        *size_at(&d, &SIZES[i]) = (int)v;
    }
    int r = pn_whisper_dims_check(&d, err);
    if (r == 0 && hf)
        r = check_hf(c, &d, err);
    if (r == 0)
        *ret = d;
    return r;
}
