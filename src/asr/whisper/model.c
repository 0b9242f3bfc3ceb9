/* model.c - opens a Whisper: finds its packed file or makes one, and points the model into it.
 *
 * The checkpoint is opened at every start, for its sizes and its id, which is cheap; its weights and its
 * vocabulary are read only when there is no packed file for that id. */
#include "asr/whisper/model.h"

#include "asr/whisper/dims.h"
#include "asr/whisper/heads.h"
#include "asr/whisper/pack.h"
#include "asr/whisper/parts.h"
#include "asr/whisper/ranks.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Raise LAYOUT whenever what a section holds changes. */
enum { LAYOUT = 1 };

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

/* Points one part into the packed file. */
static int bind_part(const struct pn_packed *packed, const struct pn_part *part, struct pn_err *err)
{
    size_t size = 0;
    const void *block = pn_packed_find(packed, part->name, &size);
    if (!block || size < pn_part_size(part))
        return pn_fail(err, PN_EFORMAT, "the packed file lacks %s", part->name);
    if (part->values)
        *part->values = block;
    else
        *part->linear = pn_linear_view(part->precision, part->n, part->k, block);
    return 0;
}

/* Takes `packed` in any case; on failure the model is as before. */
static int bind(struct pn_whisper *w, const struct pn_parts *parts, struct pn_packed *packed,
                struct pn_err *err)
{
    struct pn_bpe *bpe = NULL;
    size_t size = 0;
    int r = 0;
    for (size_t i = 0; i < parts->n && r == 0; i++)
        r = bind_part(packed, &parts->part[i], err);
    const void *block = pn_packed_find(packed, VOCABULARY, &size);
    if (r == 0)
        r = pn_whisper_ranks_read(block, block ? size : 0, &bpe, err);
    if (r == 0)
        r = pn_vocab_new(bpe, w->dims.n_vocab, &w->vocab, err);
    if (r < 0)
        pn_packed_close(packed);
    else
        w->packed = packed;
    return r;
}

static int add_vocabulary(const struct pn_checkpoint *c, const struct pn_whisper_options *opt, int n_vocab,
                          struct pn_packed_writer *out, struct pn_err *err)
{
    struct pn_bpe *bpe = NULL;
    int r = pn_whisper_ranks(c, opt->path, opt->model_dir, n_vocab, &bpe, err);
    if (r < 0)
        return r;
    void *block = pn_packed_add(out, VOCABULARY, pn_whisper_ranks_size(bpe), err);
    if (block)
        pn_whisper_ranks_write(bpe, block);
    pn_bpe_free(bpe);
    return block ? 0 : -PN_EIO;
}

/* Makes the packed file at `path`, or in memory for NULL, and opens it. */
static int make_packed(const struct pn_checkpoint *c, const struct pn_parts *parts,
                       const struct pn_whisper_options *opt, int n_vocab, const struct pn_packed_key *key,
                       const char *path, struct pn_packed **ret, struct pn_err *err)
{
    struct pn_packed_writer *out = NULL;
    int r = pn_packed_writer_new(path, key, &out, err);
    if (r < 0)
        return r;
    r = add_vocabulary(c, opt, n_vocab, out, err);
    if (r == 0)
        r = pn_whisper_pack(c, parts, opt, out, err);
    if (r < 0) {
        pn_packed_writer_free(out);
        return r;
    }
    return pn_packed_commit(out, ret, err);
}

/* A file that cannot be written (full disk, lost race, no right) is not a reason to fail: memory is. */
static int pack(struct pn_whisper *w, const struct pn_checkpoint *c, const struct pn_parts *parts,
                const struct pn_whisper_options *opt, const struct pn_packed_key *key, const char *path,
                struct pn_err *err)
{
    struct pn_packed *packed = NULL;
    struct pn_err first = { 0 };
    int r = -PN_EIO;
    if (path)
        r = make_packed(c, parts, opt, w->dims.n_vocab, key, path, &packed, &first);
    if (r == -PN_EIO || r == -PN_ENOMEM) {
        first = (struct pn_err){ 0 };
        r = make_packed(c, parts, opt, w->dims.n_vocab, key, NULL, &packed, &first);
    }
    if (r == 0)
        return bind(w, parts, packed, err);
    return pn_fail(err, (enum pn_error) - r, "%s: %s", opt->path, first.code ? first.text : pn_error_name(r));
}

/* The weights, from the packed file if there is one that fits. */
static int load(struct pn_whisper *w, const struct pn_checkpoint *c, const struct pn_whisper_options *opt,
                struct pn_err *err)
{
    char path[PATH_MAX];
    struct pn_packed_key key = { "whisper", pn_precision_name(w->precision), LAYOUT, pn_checkpoint_id(c) };
    struct pn_parts parts = { 0 };
    struct pn_packed *packed = NULL;
    int r = pn_parts_new(w, &parts);
    if (r < 0)
        return r;
    bool file = !opt->no_packed_file &&
                pn_packed_path(opt->path, opt->cache_dir, key.precision, path, sizeof(path)) == 0;
    r = -PN_ENOTFOUND;
    if (file && pn_packed_open(path, &key, &packed, NULL) == 0)
        r = bind(w, &parts, packed, NULL);
    if (r < 0)
        r = pack(w, c, &parts, opt, &key, file ? path : NULL, err);
    pn_parts_done(&parts);
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
