/* hf_folder.c - a Hugging Face folder: model.safetensors or its shards, config.json, vocabulary. */
#include "base/json_parse.h"
#include "model/safetensors.h"
#include "model/vocabulary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Mapped when they are there; all of them count in the source's id. */
static const char *const SMALL[] = {
    "config.json",       "generation_config.json",  "preprocessor_config.json",
    "vocab.json",        "tokenizer.json",          "tokenizer_config.json",
    "added_tokens.json", "special_tokens_map.json", "merges.txt"
};

enum { MAX_SMALL = 64 << 20 };

struct folder {
    struct pn_checkpoint *c;
    const char *path;
    struct pn_err *err;
};

static int join(struct folder *f, const char *name, char *path, size_t cap)
{
    int n = snprintf(path, cap, "%s/%s", f->path, name);
    if (n < 0 || (size_t)n >= cap)
        return pn_fail(f->err, PN_ELIMIT, "the path of the model is too long");
    return 0;
}

static bool has(struct folder *f, const char *name)
{
    char path[4096];
    return join(f, name, path, sizeof(path)) == 0 && access(path, F_OK) == 0;
}

static int map(struct folder *f, const char *name, struct pn_str *ret)
{
    char path[4096];
    int r = join(f, name, path, sizeof(path));
    return r < 0 ? r : pn_checkpoint_map(f->c, path, ret, f->err);
}

static int map_small(struct folder *f)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(SMALL); i++) {
        struct pn_str bytes;
        if (!has(f, SMALL[i]))
            continue;
        int r = map(f, SMALL[i], &bytes);
        if (r < 0)
            return r;
        if (bytes.len > MAX_SMALL)
            return pn_fail(f->err, PN_ELIMIT, "%s is larger than %d MB", SMALL[i], MAX_SMALL >> 20);
        f->c->files[f->c->n_files++] = (struct pn_checkpoint_small_file){ SMALL[i], bytes };
        pn_digest_add(&f->c->digest, bytes);
    }
    return 0;
}

static int read_config(struct folder *f)
{
    struct pn_str text = pn_checkpoint_file(f->c, "config.json");
    json_t *j;
    if (text.len == 0)
        return pn_fail(f->err, PN_EFORMAT, "there is no config.json in %.150s", f->path);
    int r = pn_json_object(text, PN_JSON_FILE, "config.json", 0, &j, f->err);
    if (r < 0)
        return r;
    for (void *it = json_object_iter(j); it && r == 0; it = json_object_iter_next(j, it)) {
        json_t *v = json_object_iter_value(it);
        if (!json_is_integer(v) && !json_is_boolean(v))
            continue;
        const char *name =
            pn_arena_strndup(f->c->strings, json_object_iter_key(it), json_object_iter_key_len(it));
        r = name ? pn_checkpoint_add_int(f->c, pn_str(name),
                                         json_is_integer(v) ? json_integer_value(v) : json_is_true(v), f->err)
                 : pn_fail(f->err, PN_ENOMEM, "no memory for config.json");
    }
    json_decref(j);
    return r;
}

static int read_weights(struct folder *f, const char *name)
{
    struct pn_str file;
    int r = map(f, name, &file);
    return r < 0 ? r : pn_safetensors_read(f->c, file, name, f->err);
}

/* A shard is a plain file of the same folder. */
static bool good_shard(const char *name)
{
    return name && *name && *name != '.' && strlen(name) <= 200 && !strchr(name, '/');
}

/* Reads every file that the map names, once. */
static int read_shards_of(struct folder *f, json_t *map_of, json_t *seen)
{
    const char *tensor;
    json_t *v;
    json_object_foreach(map_of, tensor, v)
    {
        const char *shard = json_string_value(v);
        if (!good_shard(shard))
            return pn_fail(f->err, PN_EFORMAT, "the index names no usable file for tensor '%.80s'", tensor);
        if (json_object_get(seen, shard))
            continue;
        int r = read_weights(f, shard);
        if (r < 0)
            return r;
        if (json_object_set_new(seen, shard, json_true()) < 0)
            return pn_fail(f->err, PN_ENOMEM, "no memory for the index of the weights");
    }
    return 0;
}

static int read_index(struct folder *f, const char *name)
{
    struct pn_str text;
    json_t *j;
    int r = map(f, name, &text);
    if (r < 0 || (r = pn_json_object(text, PN_JSON_FILE, name, 0, &j, f->err)) < 0)
        return r;
    pn_digest_add(&f->c->digest, text);
    json_t *map_of = json_object_get(j, "weight_map"), *seen = json_object();
    if (!json_is_object(map_of))
        r = pn_fail(f->err, PN_EFORMAT, "%s has no weight_map", name);
    else
        r = seen ? read_shards_of(f, map_of, seen)
                 : pn_fail(f->err, PN_ENOMEM, "no memory for the index of the weights");
    json_decref(seen);
    json_decref(j);
    return r;
}

static int read_any_weights(struct folder *f)
{
    static const char SINGLE[] = "model.safetensors", INDEX[] = "model.safetensors.index.json";
    if (has(f, SINGLE))
        return read_weights(f, SINGLE);
    if (has(f, INDEX))
        return read_index(f, INDEX);
    if (has(f, "pytorch_model.bin"))
        return pn_fail(f->err, PN_EUNSUPPORTED, "%.120s holds pytorch_model.bin only: save it as safetensors",
                       f->path);
    return pn_fail(f->err, PN_ENOTFOUND, "there is no model.safetensors in %.150s", f->path);
}

int pn_hf_read(struct pn_checkpoint *c, const char *folder, const char *weights, struct pn_err *err)
{
    struct folder f = { c, folder, err };
    c->kind = PN_CHECKPOINT_HF;
    int r = weights ? read_weights(&f, weights) : read_any_weights(&f);
    if (r < 0 || (r = map_small(&f)) < 0 || (r = read_config(&f)) < 0)
        return r;
    return pn_vocabulary_read(c, pn_checkpoint_file(c, "vocab.json"), pn_checkpoint_file(c, "tokenizer.json"),
                              err);
}
