/* checkpoint.h - published model files, read where they lie.
 *
 * Knows three containers: torch's .pt (zip of a restricted pickle and raw storages), a Hugging Face folder
 * (safetensors, sharded or not, with its JSON files) and whisper.cpp's ggml .bin. The kind is found by
 * content. Everything is mapped read-only and every offset is checked against the file; nothing in a file is
 * executed. What the tensors mean is the caller's business; names and numbers come as the file has them.
 *
 * A refused file gives -PN_EFORMAT and a text with the reason and the byte position. */
#ifndef PN_MODEL_CHECKPOINT_H
#define PN_MODEL_CHECKPOINT_H

#include "model/tensor.h"

#include <stdbool.h>

struct pn_checkpoint;

enum pn_checkpoint_kind {
    PN_CHECKPOINT_TORCH, /* ints: the `dims` dict ("n_mels", ...); tensors: "state_dict", "model_state_dict"
                            or "model", else the top dict; without the prefix "module." */
    PN_CHECKPOINT_HF,    /* ints: the numbers of config.json ("d_model", ...) */
    PN_CHECKPOINT_GGML,  /* ints: the header under OpenAI's names ("n_mels", ...) and "ftype" */
};

/* A file, or a folder with model.safetensors(.index.json). -PN_ENOTFOUND, -PN_EFORMAT, -PN_EUNSUPPORTED
 * (gzip, legacy torch, q2_k ...: the text says which), -PN_EIO, -PN_ENOMEM. */
PN_MUST_CHECK int pn_checkpoint_open(const char *path, struct pn_checkpoint **ret, struct pn_err *err);
struct pn_checkpoint *pn_checkpoint_close(struct pn_checkpoint *c); /* accepts NULL, returns NULL */

enum pn_checkpoint_kind pn_checkpoint_kind(const struct pn_checkpoint *c);
size_t pn_checkpoint_count(const struct pn_checkpoint *c);
const struct pn_tensor *pn_checkpoint_at(const struct pn_checkpoint *c, size_t i);
const struct pn_tensor *pn_checkpoint_find(const struct pn_checkpoint *c, const char *name); /* or NULL */
/* 0, or -PN_ENOTFOUND (nothing written). Booleans are 0 and 1. */
PN_MUST_CHECK int pn_checkpoint_int(const struct pn_checkpoint *c, const char *name, int64_t *ret);
/* The vocabulary that travels with the weights: ggml's list, or a folder's vocab.json (byte mapping undone;
 * tokenizer.json if there is none). Token bytes by id; gaps and specials are empty. 0 when there is none. */
size_t pn_checkpoint_n_tokens(const struct pn_checkpoint *c);
struct pn_str pn_checkpoint_token(const struct pn_checkpoint *c, size_t id);
/* A small file of the folder ("generation_config.json"), whole; empty when absent or not a folder. */
struct pn_str pn_checkpoint_file(const struct pn_checkpoint *c, const char *name);

/* What tells one source from another for the packed file: total size, newest mtime in ns, and a hash of its
 * headers (pickle, safetensors header and JSON files, ggml header and names). */
struct pn_source_id {
    uint64_t size;
    int64_t mtime_ns;
    uint8_t hash[16];
};
struct pn_source_id pn_checkpoint_id(const struct pn_checkpoint *c);

#endif
