/* model.c - opens a Whisper: finds its packed file or makes one, and points the model into it.
 *
 * The checkpoint is opened at every start, for its sizes and its id, which is cheap; its weights and its
 * vocabulary are read only when there is no packed file for that id. */
#include "asr/whisper/model.h"

#include "asr/pack.h"
#include "asr/whisper/dims.h"
#include "asr/whisper/heads.h"
#include "asr/whisper/names.h"
#include "asr/whisper/parts.h"
#include "asr/whisper/ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Raise LAYOUT whenever what a section holds changes. */
enum { LAYOUT = 2 };

static const char VOCABULARY[] = "vocabulary";

/* "base" for /models/base.pt, /models/ggml-base.bin and a folder /models/whisper-base. */
static void name_from_path(const char *path, char *ret, size_t cap)
{
    static const char *const PREFIXES[] = { "ggml-", "whisper-" };
    static const char *const SUFFIXES[] = { ".pt", ".bin", ".safetensors" };
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    size_t from = len;
    while (from > 0 && path[from - 1] != '/')
        from--;
    for (size_t i = 0; i < PN_ARRAY_LEN(PREFIXES); i++) {
        size_t n = strlen(PREFIXES[i]);
        if (len - from > n && strncmp(path + from, PREFIXES[i], n) == 0)
            from += n;
    }
    for (size_t i = 0; i < PN_ARRAY_LEN(SUFFIXES); i++) {
        size_t n = strlen(SUFFIXES[i]);
        if (len - from > n && strncmp(path + len - n, SUFFIXES[i], n) == 0)
            len -= n;
    }
    (void)snprintf(ret, cap, "%.*s", (int)PN_MIN(len - from, cap - 1), path + from);
}

/* A model being loaded. */
struct loading {
    struct pn_whisper *w;
    const struct pn_checkpoint *c;
    const struct pn_whisper_options *opt;
};

static int add_vocabulary(void *ctx, struct pn_packed_writer *out, struct pn_err *err)
{
    const struct loading *l = ctx;
    struct pn_bpe *bpe = NULL;
    int r = pn_whisper_ranks(l->c, l->opt->path, l->opt->model_dir, l->w->dims.n_vocab, &bpe, err);
    if (r < 0)
        return r;
    void *block = pn_packed_add(out, VOCABULARY, pn_whisper_ranks_size(bpe), err);
    if (block)
        pn_whisper_ranks_write(bpe, block);
    pn_bpe_free(bpe);
    return block ? 0 : -PN_EIO;
}

static int bind_vocabulary(void *ctx, const struct pn_packed *packed, struct pn_err *err)
{
    struct loading *l = ctx;
    struct pn_bpe *bpe = NULL;
    size_t size = 0;
    const void *block = pn_packed_find(packed, VOCABULARY, &size);
    int r = pn_whisper_ranks_read(block, block ? size : 0, &bpe, err);
    return r < 0 ? r : pn_vocab_new(bpe, l->w->dims.n_vocab, &l->w->vocab, err);
}

/* Where 7 bits are too few: a few channels of what the encoder's queries, keys and values come from are far
 * larger than the others, and the decoder, which mostly waits for memory, can have more for little. */
static void refine(struct pn_whisper *w)
{
    for (int i = 0; i < w->dims.n_audio_layer; i++)
        w->encoder[i].qkv.fine = true;
    for (int i = 0; i < w->dims.n_text_layer; i++) {
        struct pn_whisper_decoder_layer *l = &w->decoder[i];
        l->qkv.fine = l->out.fine = l->cross_q.fine = l->cross_out.fine = l->fc1.fine = l->fc2.fine = true;
    }
    w->embedding.fine = true;
}

/* The weights, from the packed file if there is one that fits. */
static int load(struct pn_whisper *w, const struct pn_checkpoint *c, const struct pn_whisper_options *opt,
                struct pn_err *err)
{
    struct loading loading = { w, c, opt };
    struct pn_parts parts = { 0 };
    const struct pn_pack_job job = {
        .key = { "whisper", pn_precision_name(w->precision), LAYOUT, pn_checkpoint_id(c) },
        .parts = &parts,
        .find = pn_whisper_tensor,
        .from = c,
        .add = add_vocabulary,
        .bind = bind_vocabulary,
        .model = &loading,
        .path = opt->path,
        .cache_dir = opt->cache_dir,
        .no_packed_file = opt->no_packed_file,
        .pool = opt->pool,
        .progress = opt->progress,
        .ctx = opt->ctx,
    };
    pn_whisper_parts(w, &parts);
    int r = pn_pack_open(&job, &w->packed, err);
    pn_parts_done(&parts);
    refine(w);
    return r;
}

static int allocate_layers(struct pn_whisper *w)
{
    w->encoder = calloc((size_t)w->dims.n_audio_layer, sizeof(*w->encoder));
    w->decoder = calloc((size_t)w->dims.n_text_layer, sizeof(*w->decoder));
    return w->encoder && w->decoder ? 0 : -PN_ENOMEM;
}

static int add_heads(struct pn_whisper *w, const struct pn_checkpoint *c)
{
    int *heads = NULL;
    int r = pn_whisper_heads(w->name, &w->dims, c, &heads, &w->n_align_heads);
    if (r == 0)
        w->align_heads = heads;
    return r;
}

/* Strings that are optional become "". */
static struct pn_whisper_options complete(const struct pn_whisper_options *opt)
{
    struct pn_whisper_options o = *opt;
    o.name = o.name ? o.name : "";
    o.model_dir = o.model_dir ? o.model_dir : "";
    o.cache_dir = o.cache_dir ? o.cache_dir : "";
    return o;
}

int pn_whisper_open(const struct pn_whisper_options *opt, struct pn_whisper **ret, struct pn_err *err)
{
    const struct pn_whisper_options o = complete(opt);
    struct pn_checkpoint *c = NULL;
    struct pn_whisper *w = calloc(1, sizeof(*w));
    int r = w ? pn_checkpoint_open(o.path, &c, err) : -PN_ENOMEM;
    if (r < 0 || (r = pn_whisper_dims_read(c, &w->dims, err)) < 0)
        goto out;
    w->precision = o.precision;
    if (o.name[0])
        (void)snprintf(w->name, sizeof(w->name), "%s", o.name);
    else
        name_from_path(o.path, w->name, sizeof(w->name));
    if ((r = allocate_layers(w)) == 0 && (r = pn_mel_new(w->dims.n_mels, &w->mel)) == 0 &&
        (r = load(w, c, &o, err)) == 0)
        r = add_heads(w, c);
out:
    pn_checkpoint_close(c);
    if (r < 0) {
        pn_whisper_close(w);
        return pn_fail(err, (enum pn_error) - r, "%s: %s", o.path, pn_error_name(r));
    }
    *ret = w;
    return 0;
}

struct pn_whisper *pn_whisper_close(struct pn_whisper *w)
{
    if (!w)
        return NULL;
    pn_mel_free(w->mel);
    pn_vocab_free(w->vocab);
    pn_packed_close(w->packed);
    free((void *)(uintptr_t)w->align_heads);
    free(w->encoder);
    free(w->decoder);
    free(w);
    return NULL;
}
