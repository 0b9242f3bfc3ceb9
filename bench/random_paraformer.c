/* random_paraformer.c - the tensors of the published models by name (spec paraformer 2.5, 5.1, 6.1).
 *
 * Spreads are those of trained weights: norms near 1, products that keep a row's size, queries and keys large
 * enough that attention is neither flat nor a single peak. The predictor leans on its bias, so that the rate
 * of tokens does not depend on what is heard. */
#include "random_paraformer.h"

#include "random_folder.h"
#include "random_numbers.h"
#include "torch_writer.h"

#include "base/splitmix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 1 << 14, KERNEL = 11, SEACO_LAYERS = 6, SEACO_KERNEL = 21, MARKS = 6 };
enum {
    VAD_INPUT = 400,
    VAD_AFFINE = 140,
    VAD_LINEAR = 250,
    VAD_PROJ = 128,
    VAD_LAYERS = 4,
    VAD_ORDER = 20,
    VAD_OUTPUT = 248
};

static const float TOKEN_BIAS = -1.0F; /* sigmoid 0.27 */

struct writer {
    struct pn_torch_writer *torch;
    uint64_t seed;
    float normal[PN_QUANTILES];
    float chunk[CHUNK];
};

bool pn_random_sizes_of(const char *name, struct pn_random_sizes *ret)
{
    static const struct {
        const char *name;
        struct pn_random_sizes sizes;
    } KINDS[] = {
        { "offline", { PN_RANDOM_OFFLINE, 512, 2048, 4, 50, 16, 8404 } },
        { "seaco", { PN_RANDOM_SEACO, 512, 2048, 4, 50, 16, 8404 } },
        { "streaming", { PN_RANDOM_STREAMING, 512, 2048, 4, 50, 16, 8404 } },
        { "vad", { PN_RANDOM_VAD, VAD_LINEAR, VAD_PROJ, 1, VAD_LAYERS, 0, 8 } },
        { "punc", { PN_RANDOM_PUNCTUATION, 256, 1024, 8, 4, 0, 272727 } },
        { "punc-live", { PN_RANDOM_PUNCTUATION_LIVE, 256, 1024, 8, 4, 0, 272727 } },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(KINDS); i++) {
        if (strcmp(name, KINDS[i].name) == 0) {
            *ret = KINDS[i].sizes;
            return true;
        }
    }
    return false;
}

static void begin(struct writer *w, const char *prefix, const char *name, int n_dims, const int *dim)
{
    char full[128];
    (void)snprintf(full, sizeof(full), "%s%s", prefix, name);
    pn_torch_writer_begin(w->torch, full, n_dims, dim);
}

static void put_values(struct writer *w, int n, float mean, float spread)
{
    while (n > 0) {
        int m = PN_MIN(n, CHUNK);
        for (int i = 0; i < m; i += 4) {
            uint64_t r = pn_splitmix64(&w->seed);
            for (int j = 0; j < 4; j++)
                w->chunk[i + j] = mean + spread * w->normal[r >> (16 * j) & (PN_QUANTILES - 1)];
        }
        pn_torch_writer_put(w->torch, w->chunk, (size_t)m);
        n -= m;
    }
}

static void put_vector(struct writer *w, const char *prefix, const char *name, int n, float mean)
{
    begin(w, prefix, name, 1, &n);
    put_values(w, n, mean, 0.1F);
}

static void put_matrix(struct writer *w, const char *prefix, const char *name, int out, int in, float gain)
{
    begin(w, prefix, name, 2, (const int[]){ out, in });
    put_values(w, out * in, 0, gain / sqrtf((float)in));
}

static void put_linear(struct writer *w, const char *prefix, const char *owner, int out, int in)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s.weight", owner);
    put_matrix(w, prefix, name, out, in, 0.7F);
    (void)snprintf(name, sizeof(name), "%s.bias", owner);
    put_vector(w, prefix, name, out, 0);
}

static void put_norm(struct writer *w, const char *prefix, const char *owner, int n)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s.weight", owner);
    put_vector(w, prefix, name, n, 1);
    (void)snprintf(name, sizeof(name), "%s.bias", owner);
    put_vector(w, prefix, name, n, 0);
}

static void put_memory(struct writer *w, const char *prefix, int n, int taps)
{
    begin(w, prefix, "self_attn.fsmn_block.weight", 3, (const int[]){ n, 1, taps });
    put_values(w, n * taps, 0, 0.1F);
}

/* A convolution over three rows; of a transposed one `out` and `in` change places, which makes no difference.
 */
static void put_conv(struct writer *w, const char *owner, int n)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s.weight", owner);
    begin(w, "predictor.", name, 3, (const int[]){ n, n, 3 });
    put_values(w, n * n * 3, 0, 1 / sqrtf(3 * (float)n));
    (void)snprintf(name, sizeof(name), "%s.bias", owner);
    put_vector(w, "predictor.", name, n, 0);
}

static void put_lstm(struct writer *w, const char *prefix, const char *end, int n)
{
    static const char *const PARTS[] = { "weight_ih", "weight_hh", "bias_ih", "bias_hh" };
    for (int i = 0; i < 4; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "%s_%s", PARTS[i], end);
        if (i < 2)
            put_matrix(w, prefix, name, 4 * n, n, 1);
        else
            put_vector(w, prefix, name, 4 * n, 0);
    }
}

static void put_block(struct writer *w, const char *prefix, const struct pn_random_sizes *z, int in)
{
    begin(w, prefix, "self_attn.linear_q_k_v.weight", 2, (const int[]){ 3 * z->size, in });
    put_values(w, 2 * z->size * in, 0, 1.5F / sqrtf((float)in)); /* queries and keys */
    put_values(w, z->size * in, 0, 0.7F / sqrtf((float)in));
    put_vector(w, prefix, "self_attn.linear_q_k_v.bias", 3 * z->size, 0);
    put_linear(w, prefix, "self_attn.linear_out", z->size, z->size);
    put_memory(w, prefix, z->size, KERNEL);
    put_linear(w, prefix, "feed_forward.w_1", z->feed, z->size);
    put_linear(w, prefix, "feed_forward.w_2", z->size, z->feed);
    put_norm(w, prefix, "norm1", in);
    put_norm(w, prefix, "norm2", z->size);
}

static void put_encoder(struct writer *w, const struct pn_random_sizes *z, int in)
{
    put_block(w, "encoder.encoders0.0.", z, in);
    for (int i = 0; i + 1 < z->blocks; i++) {
        char prefix[48];
        (void)snprintf(prefix, sizeof(prefix), "encoder.encoders.%d.", i);
        put_block(w, prefix, z, z->size);
    }
    put_norm(w, "encoder.", "after_norm", z->size);
}

static void put_decoder_feed(struct writer *w, const char *prefix, int size, int feed)
{
    put_linear(w, prefix, "feed_forward.w_1", feed, size);
    put_norm(w, prefix, "feed_forward.norm", feed);
    put_matrix(w, prefix, "feed_forward.w_2.weight", size, feed, 0.7F);
    put_norm(w, prefix, "norm1", size);
}

static void put_layer(struct writer *w, const char *prefix, int size, int feed, int taps)
{
    put_decoder_feed(w, prefix, size, feed);
    put_memory(w, prefix, size, taps);
    put_matrix(w, prefix, "src_attn.linear_q.weight", size, size, 1.5F);
    put_vector(w, prefix, "src_attn.linear_q.bias", size, 0);
    put_linear(w, prefix, "src_attn.linear_k_v", 2 * size, size);
    put_linear(w, prefix, "src_attn.linear_out", size, size);
    put_norm(w, prefix, "norm2", size);
    put_norm(w, prefix, "norm3", size);
}

static void put_decoder(struct writer *w, const char *owner, int n_layers, int size, int feed, int taps)
{
    char prefix[64];
    for (int i = 0; i < n_layers; i++) {
        (void)snprintf(prefix, sizeof(prefix), "%s.decoders.%d.", owner, i);
        put_layer(w, prefix, size, feed, taps);
    }
    (void)snprintf(prefix, sizeof(prefix), "%s.decoders3.0.", owner);
    put_decoder_feed(w, prefix, size, feed);
    (void)snprintf(prefix, sizeof(prefix), "%s.", owner);
    put_norm(w, prefix, "after_norm", size);
}

/* One weight row and bias that give the share of a token in a row of 60 or 20 ms. */
static void put_share(struct writer *w, const char *owner, int in)
{
    char name[32];
    const int one = 1;
    (void)snprintf(name, sizeof(name), "%s.weight", owner);
    put_matrix(w, "predictor.", name, 1, in, 0.3F);
    (void)snprintf(name, sizeof(name), "%s.bias", owner);
    begin(w, "predictor.", name, 1, &one);
    put_values(w, 1, TOKEN_BIAS, 0);
}

static void put_seaco(struct writer *w, const struct pn_random_sizes *z)
{
    put_conv(w, "upsample_cnn", z->size);
    put_lstm(w, "predictor.blstm.", "l0", z->size);
    put_lstm(w, "predictor.blstm.", "l0_reverse", z->size);
    put_share(w, "cif_output2", 2 * z->size);
    put_lstm(w, "bias_encoder.", "l0", z->size);
    put_lstm(w, "bias_encoder.", "l1", z->size);
    put_decoder(w, "seaco_decoder", SEACO_LAYERS, z->size, z->feed / 2, SEACO_KERNEL);
    put_linear(w, "", "hotword_output_layer", z->vocabulary, z->size);
}

static void put_asr(struct writer *w, const struct pn_random_sizes *z)
{
    put_encoder(w, z, PN_RANDOM_INPUT);
    put_conv(w, "cif_conv1d", z->size);
    put_share(w, "cif_output", z->size);
    put_matrix(w, "decoder.", "embed.0.weight", z->vocabulary, z->size, 1);
    put_decoder(w, "decoder", z->layers, z->size, z->feed, KERNEL);
    put_linear(w, "decoder.", "output_layer", z->vocabulary, z->size);
    if (z->kind == PN_RANDOM_SEACO)
        put_seaco(w, z);
}

static void put_vad(struct writer *w)
{
    put_linear(w, "encoder.", "in_linear1.linear", VAD_AFFINE, VAD_INPUT);
    put_linear(w, "encoder.", "in_linear2.linear", VAD_LINEAR, VAD_AFFINE);
    for (int i = 0; i < VAD_LAYERS; i++) {
        char prefix[32];
        (void)snprintf(prefix, sizeof(prefix), "encoder.fsmn.%d.", i);
        put_matrix(w, prefix, "linear.linear.weight", VAD_PROJ, VAD_LINEAR, 1);
        begin(w, prefix, "fsmn_block.conv_left.weight", 4, (const int[]){ VAD_PROJ, 1, VAD_ORDER, 1 });
        put_values(w, VAD_PROJ * VAD_ORDER, 0, 0.1F);
        put_linear(w, prefix, "affine.linear", VAD_LINEAR, VAD_PROJ);
    }
    put_linear(w, "encoder.", "out_linear1.linear", VAD_AFFINE, VAD_LINEAR);
    put_linear(w, "encoder.", "out_linear2.linear", VAD_OUTPUT, VAD_AFFINE);
}

static void put_punctuation(struct writer *w, const struct pn_random_sizes *z)
{
    put_matrix(w, "", "embed.weight", z->vocabulary, z->size, 1);
    put_encoder(w, z, z->size);
    put_linear(w, "", "decoder", MARKS, z->size);
}

static void put_tensors(struct writer *w, const struct pn_random_sizes *z)
{
    switch (z->kind) {
    case PN_RANDOM_OFFLINE:
    case PN_RANDOM_SEACO:
    case PN_RANDOM_STREAMING:
        put_asr(w, z);
        return;
    case PN_RANDOM_VAD:
        put_vad(w);
        return;
    case PN_RANDOM_PUNCTUATION:
    case PN_RANDOM_PUNCTUATION_LIVE:
        put_punctuation(w, z);
        return;
    }
    PN_UNREACHABLE();
}

static int write_checkpoint(const char *folder, const struct pn_random_sizes *z, uint64_t seed,
                            struct pn_err *err)
{
    char path[512];
    struct writer *w = malloc(sizeof(*w));
    if (!w)
        return pn_fail(err, PN_ENOMEM, "no memory for a random model");
    w->seed = seed;
    pn_random_quantiles(w->normal);
    (void)snprintf(path, sizeof(path), "%.480s/model.pt", folder);
    int r = pn_torch_writer_open(path, &w->torch, err);
    if (r == 0) {
        put_tensors(w, z);
        r = pn_torch_writer_close(w->torch, err);
    }
    free(w);
    return r;
}

int pn_random_folder_write(const char *folder, const struct pn_random_sizes *z, uint64_t seed,
                           struct pn_err *err)
{
    (void)mkdir(folder, 0777);
    int r = write_checkpoint(folder, z, seed, err);
    return r < 0 ? r : pn_random_folder_texts(folder, z, seed, err);
}
