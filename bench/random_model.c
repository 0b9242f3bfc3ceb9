/* random_model.c - writes a ggml file of random f16 weights as fast as the disk takes it.
 *
 * Spreads are those of trained weights: layer norms near 1, products that keep a row's size, queries and keys
 * large enough that attention is neither flat nor a single peak. */
#include "random_model.h"

#include "random_numbers.h"

#include "base/splitmix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 16, GGML_F32 = 0, GGML_F16 = 1, N_BINS = 201 };

struct writer {
    FILE *f;
    uint64_t seed;
    float normal[PN_QUANTILES]; /* quantiles of the normal distribution */
    uint16_t half[PN_QUANTILES];
    uint16_t chunk[CHUNK];
    int end_after; /* tokens; 0 = texts end when they do */
    bool failed;
};

static const struct {
    const char *name;
    int n_mels, n_vocab, state, heads, encoder, decoder;
} SIZES[] = {
    { "tiny", 80, 51865, 384, 6, 4, 4 },          { "base", 80, 51865, 512, 8, 6, 6 },
    { "small", 80, 51865, 768, 12, 12, 12 },      { "medium", 80, 51865, 1024, 16, 24, 24 },
    { "large-v3", 128, 51866, 1280, 20, 32, 32 }, { "large-v3-turbo", 128, 51866, 1280, 20, 32, 4 },
};

bool pn_random_dims(const char *name, struct pn_whisper_dims *ret)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(SIZES); i++) {
        if (strcmp(name, SIZES[i].name) != 0)
            continue;
        *ret = (struct pn_whisper_dims){
            .n_mels = SIZES[i].n_mels,
            .n_audio_ctx = 1500,
            .n_audio_state = SIZES[i].state,
            .n_audio_head = SIZES[i].heads,
            .n_audio_layer = SIZES[i].encoder,
            .n_vocab = SIZES[i].n_vocab,
            .n_text_ctx = 448,
            .n_text_state = SIZES[i].state,
            .n_text_head = SIZES[i].heads,
            .n_text_layer = SIZES[i].decoder,
        };
        return true;
    }
    return false;
}

/* Nearest f16; what would be subnormal becomes 0. |x| < 65504. */
static uint16_t to_half(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    uint32_t sign = bits >> 16 & 0x8000, exponent = bits >> 23 & 0xff;
    if (exponent < 113)
        return (uint16_t)sign;
    uint32_t magnitude = (bits & 0x7fffffff) - (112U << 23);
    return (uint16_t)(sign | ((magnitude + 0xfff + (magnitude >> 13 & 1)) >> 13));
}

static void put(struct writer *w, const void *bytes, size_t n)
{
    if (fwrite(bytes, 1, n, w->f) != n)
        w->failed = true;
}

static void put_int(struct writer *w, int v)
{
    int32_t value = v;
    put(w, &value, sizeof(value));
}

static void put_header(struct writer *w, const char *name, int type, int n_dims, const int *fastest_first)
{
    put_int(w, n_dims);
    put_int(w, (int)strlen(name));
    put_int(w, type);
    for (int i = 0; i < n_dims; i++)
        put_int(w, fastest_first[i]);
    put(w, name, strlen(name));
}

/* n weights of spread `std`. */
static void put_halves(struct writer *w, int64_t n, float std)
{
    for (int i = 0; i < PN_QUANTILES; i++)
        w->half[i] = to_half(w->normal[i] * std);
    while (n > 0) {
        int64_t m = PN_MIN(n, CHUNK);
        for (int64_t i = 0; i < m; i += 4) {
            uint64_t r = pn_splitmix64(&w->seed);
            for (int j = 0; j < 4; j++)
                w->chunk[i + j] = w->half[r >> (16 * j) & (PN_QUANTILES - 1)];
        }
        put(w, w->chunk, (size_t)m * sizeof(*w->chunk));
        n -= m;
    }
}

static void put_floats(struct writer *w, int64_t n, float mean, float std)
{
    for (int64_t i = 0; i < n; i++) {
        float v = mean + std * w->normal[pn_splitmix64(&w->seed) % PN_QUANTILES];
        put(w, &v, sizeof(v));
    }
}

static void put_matrix(struct writer *w, const char *prefix, const char *owner, int out, int in, float gain)
{
    char name[96];
    (void)snprintf(name, sizeof(name), "%s%s.weight", prefix, owner);
    put_header(w, name, GGML_F16, 2, (const int[]){ in, out });
    put_halves(w, (int64_t)out * in, gain / sqrtf((float)in));
}

static void put_vector(struct writer *w, const char *prefix, const char *owner, const char *end, int n,
                       float mean)
{
    char name[96];
    (void)snprintf(name, sizeof(name), "%s%s.%s", prefix, owner, end);
    put_header(w, name, GGML_F32, 1, &n);
    put_floats(w, n, mean, 0.1F);
}

static void put_norm(struct writer *w, const char *prefix, const char *owner, int n)
{
    put_vector(w, prefix, owner, "weight", n, 1);
    put_vector(w, prefix, owner, "bias", n, 0);
}

static void put_linear(struct writer *w, const char *prefix, const char *owner, int out, int in)
{
    put_matrix(w, prefix, owner, out, in, 0.7F);
    put_vector(w, prefix, owner, "bias", out, 0);
}

static void put_attention(struct writer *w, const char *layer, const char *which, int s)
{
    char prefix[64];
    (void)snprintf(prefix, sizeof(prefix), "%s%s.", layer, which);
    put_matrix(w, prefix, "query", s, s, 1.5F);
    put_vector(w, prefix, "query", "bias", s, 0);
    put_matrix(w, prefix, "key", s, s, 1.5F);
    put_linear(w, prefix, "value", s, s);
    put_linear(w, prefix, "out", s, s);
    (void)snprintf(prefix, sizeof(prefix), "%s_ln", which);
    put_norm(w, layer, prefix, s);
}

static void put_layer(struct writer *w, const char *side, int i, int s, bool cross)
{
    char layer[32];
    (void)snprintf(layer, sizeof(layer), "%s.blocks.%d.", side, i);
    put_attention(w, layer, "attn", s);
    if (cross)
        put_attention(w, layer, "cross_attn", s);
    put_linear(w, layer, "mlp.0", 4 * s, s);
    put_linear(w, layer, "mlp.2", s, 4 * s);
    put_norm(w, layer, "mlp_ln", s);
}

static void put_conv(struct writer *w, const char *owner, int out, int in)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s.weight", owner);
    put_header(w, name, GGML_F16, 3, (const int[]){ 3, in, out });
    put_halves(w, (int64_t)3 * in * out, 1 / sqrtf(3 * (float)in));
    (void)snprintf(name, sizeof(name), "%s.bias", owner);
    put_header(w, name, GGML_F32, 2, (const int[]){ 1, out });
    put_floats(w, out, 0, 0.1F);
}

static float turn(int channel)
{
    return channel % 2 ? -1 : 1;
}

/* A text that ends: token rows are long, so that the best token is far ahead of the others; the last layer
 * norm turns every other channel round, so that a token does not call for itself again; positions that follow
 * the last wanted token point far into the direction of the token that ends the text. */
static void put_ending_embeddings(struct writer *w, const struct pn_whisper_dims *d)
{
    const int s = d->n_text_state, eot = d->n_vocab >= 51865 ? 50257 : 50256, prompt = 3;
    const int from = prompt - 1 + w->end_after;
    const uint64_t direction = w->seed + 1;
    put_header(w, "decoder.positional_embedding", GGML_F32, 2, (const int[]){ s, d->n_text_ctx });
    put_floats(w, (int64_t)s * from, 0, 1);
    for (int i = from; i < d->n_text_ctx; i++) {
        w->seed = direction;
        put_floats(w, s, 0, 100);
    }
    put_header(w, "decoder.token_embedding.weight", GGML_F16, 2, (const int[]){ s, d->n_vocab });
    put_halves(w, (int64_t)s * eot, 1);
    w->seed = direction;
    for (int i = 0; i < s; i++) {
        uint16_t half = to_half(turn(i) * w->normal[pn_splitmix64(&w->seed) % PN_QUANTILES]);
        put(w, &half, sizeof(half));
    }
    put_halves(w, (int64_t)s * (d->n_vocab - eot - 1), 1);
}

static void put_last_norm(struct writer *w, const struct pn_whisper_dims *d)
{
    const int s = d->n_text_state;
    if (w->end_after == 0) {
        put_norm(w, "decoder.", "ln", s);
        return;
    }
    put_header(w, "decoder.ln.weight", GGML_F32, 1, &s);
    for (int i = 0; i < s; i++)
        put_floats(w, 1, turn(i), 0);
    put_vector(w, "decoder.", "ln", "bias", s, 0);
}

static void put_embeddings(struct writer *w, const struct pn_whisper_dims *d)
{
    const int s = d->n_text_state;
    if (w->end_after > 0) {
        put_ending_embeddings(w, d);
        return;
    }
    put_header(w, "decoder.positional_embedding", GGML_F32, 2, (const int[]){ s, d->n_text_ctx });
    put_floats(w, (int64_t)s * d->n_text_ctx, 0, 0.05F);
    put_header(w, "decoder.token_embedding.weight", GGML_F16, 2, (const int[]){ s, d->n_vocab });
    put_halves(w, (int64_t)s * d->n_vocab, 0.1F);
}

static void put_tensors(struct writer *w, const struct pn_whisper_dims *d)
{
    const int s = d->n_audio_state;
    put_header(w, "encoder.positional_embedding", GGML_F32, 2, (const int[]){ s, d->n_audio_ctx });
    put_floats(w, (int64_t)s * d->n_audio_ctx, 0, 0.5F);
    put_conv(w, "encoder.conv1", s, d->n_mels);
    put_conv(w, "encoder.conv2", s, s);
    for (int i = 0; i < d->n_audio_layer; i++)
        put_layer(w, "encoder", i, s, false);
    put_norm(w, "encoder.", "ln_post", s);
    put_embeddings(w, d);
    for (int i = 0; i < d->n_text_layer; i++)
        put_layer(w, "decoder", i, s, true);
    put_last_norm(w, d);
}

/* Single bytes, then numbers in letters; the last one of a multilingual vocabulary is empty. */
static void put_vocabulary(struct writer *w, int n_vocab)
{
    int n = n_vocab >= 51865 ? 50257 : 50256;
    put_int(w, n);
    for (int i = 0; i < n; i++) {
        char token[16];
        int len = 0;
        if (i < 256)
            token[len++] = (char)i;
        else if (i < 50256)
            len = snprintf(token, sizeof(token), " %c%c%c%c", 'a' + i % 26, 'a' + i / 26 % 26,
                           'a' + i / 676 % 26, 'a' + i / 17576 % 26);
        put_int(w, len);
        put(w, token, (size_t)len);
    }
}

static void put_model(struct writer *w, const struct pn_whisper_dims *d)
{
    const int head[] = { 0x67676d6c,      d->n_vocab,       d->n_audio_ctx, d->n_audio_state,
                         d->n_audio_head, d->n_audio_layer, d->n_text_ctx,  d->n_text_state,
                         d->n_text_head,  d->n_text_layer,  d->n_mels,      GGML_F16 };
    for (size_t i = 0; i < PN_ARRAY_LEN(head); i++)
        put_int(w, head[i]);
    put_int(w, d->n_mels);
    put_int(w, N_BINS);
    put_floats(w, (int64_t)d->n_mels * N_BINS, 0, 0);
    put_vocabulary(w, d->n_vocab);
    put_tensors(w, d);
}

int pn_random_model_write(const char *path, const struct pn_whisper_dims *d, uint64_t seed,
                          struct pn_err *err)
{
    return pn_random_model_write_ending(path, d, seed, 0, err);
}

int pn_random_model_write_ending(const char *path, const struct pn_whisper_dims *d, uint64_t seed, int tokens,
                                 struct pn_err *err)
{
    struct writer *w = malloc(sizeof(*w));
    if (!w)
        return pn_fail(err, PN_ENOMEM, "no memory for a random model");
    w->seed = seed;
    w->end_after = PN_MIN(tokens, d->n_text_ctx / 2);
    w->failed = false;
    w->f = fopen(path, "wb");
    int r = w->f ? 0 : pn_fail_errno(err, "%s", path);
    if (w->f) {
        pn_random_quantiles(w->normal);
        put_model(w, d);
        if ((fclose(w->f) != 0) | w->failed)
            r = pn_fail_errno(err, "writing %s", path);
    }
    free(w);
    return r;
}
