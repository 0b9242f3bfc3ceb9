/* model.h - a Whisper model in memory: sizes, vocabulary and packed weights. Immutable after open, shared by
 * all streams and threads. */
#ifndef PN_ASR_WHISPER_MODEL_H
#define PN_ASR_WHISPER_MODEL_H

#include "asr/parts.h"
#include "asr/whisper/vocab.h"
#include "audio/mel.h"
#include "model/checkpoint.h"

struct pn_whisper_dims {
    int n_mels, n_audio_ctx, n_audio_state, n_audio_head, n_audio_layer;
    int n_vocab, n_text_ctx, n_text_state, n_text_head, n_text_layer;
};

enum {
    PN_WHISPER_HEAD = 64, /* width of a head in every Whisper */
    /* Text positions: every published model has the most, what decoding keeps on its way is made for it; the
     * fewest hold a start, a few tokens and an end. */
    PN_WHISPER_MIN_TEXT = 16,
    PN_WHISPER_MAX_TEXT = 448
};

#define PN_WHISPER_EPS 1e-5f /* of every layer norm */

struct pn_whisper_encoder_layer {
    struct pn_norm attn_ln, mlp_ln;
    struct pn_linear qkv; /* [3S][S]: query, key (no bias), value */
    struct pn_linear out, fc1, fc2;
};

struct pn_whisper_decoder_layer {
    struct pn_norm attn_ln, cross_ln, mlp_ln;
    struct pn_linear qkv, out;
    struct pn_linear cross_q, cross_kv /* [2S][S], over the encoder's output */, cross_out;
    struct pn_linear fc1, fc2;
};

struct pn_whisper {
    struct pn_whisper_dims dims;
    enum pn_precision precision;
    struct pn_vocab *vocab;
    struct pn_mel *mel;
    struct pn_packed *packed; /* everything below points into it */
    char name[64];            /* what `model` says in answers: "base", or the file's stem */

    struct pn_linear conv1, conv2; /* over [time][channel] rows: k = 3 * channels, tap-major; always f32 */
    const float *audio_positions;  /* [n_audio_ctx][S] */
    struct pn_whisper_encoder_layer *encoder; /* [n_audio_layer] */
    struct pn_norm ln_post;

    struct pn_linear embedding;               /* [n_vocab][S], tied: pn_linear_row() looks a token up */
    const float *text_positions;              /* [n_text_ctx][S] */
    struct pn_whisper_decoder_layer *decoder; /* [n_text_layer] */
    struct pn_norm ln;

    /* Heads whose cross-attention follows the audio (spec 4.11), as layer * n_text_head + head. */
    const int *align_heads;
    int n_align_heads;
};

struct pn_whisper_options {
    const char *path;      /* .pt, ggml .bin, Hugging Face folder */
    const char *name;      /* "" = from the path; an official name ("base.en") brings its alignment heads */
    const char *model_dir; /* where to look for rank files, after the checkpoint's own folder; "" = nowhere */
    const char
        *cache_dir; /* for the packed file when the checkpoint's folder cannot be written; "" = nowhere */
    enum pn_precision precision;
    struct pn_pool *pool;                         /* packs on all threads; NULL: on the caller's */
    bool no_packed_file;                          /* neither read nor write one (tests, fuzzing) */
    void (*progress)(void *ctx, double fraction); /* while packing; may be NULL */
    void *ctx;
};

/* -PN_EFORMAT (not a Whisper checkpoint: the text names the tensor or number that is wrong), -PN_ENOTFOUND
 * (no file, or no rank file: the text names `multilingual.tiktoken` or `gpt2.tiktoken` and where it was
 * looked for), and the reader's errors. */
PN_MUST_CHECK int pn_whisper_open(const struct pn_whisper_options *opt, struct pn_whisper **ret,
                                  struct pn_err *err);
struct pn_whisper *pn_whisper_close(struct pn_whisper *w); /* accepts NULL, returns NULL */

#endif
