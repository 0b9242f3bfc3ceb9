/* checkpoint_impl.h - the inside of a checkpoint, shared by the readers of the formats. A reader maps its
 * files into `maps`, fills in tensors, numbers, vocabulary and small files, and feeds what identifies the
 * headers to `digest`; checkpoint.c frees whatever is there. */
#ifndef PN_MODEL_CHECKPOINT_IMPL_H
#define PN_MODEL_CHECKPOINT_IMPL_H

#include "base/arena.h"
#include "model/checkpoint.h"
#include "model/digest.h"
#include "model/mapping.h"

enum {
    PN_CHECKPOINT_MAX_TENSORS = 1 << 20,
    PN_CHECKPOINT_MAX_TOKENS = 1 << 20,
    PN_CHECKPOINT_MAX_NAME = 255,
    PN_CHECKPOINT_MAX_INTS = 256,
    PN_CHECKPOINT_MAX_MAPS = 1024, /* shards and small files */
};

struct pn_checkpoint_number {
    struct pn_str name;
    int64_t value;
};

struct pn_checkpoint_small_file {
    const char *name; /* static */
    struct pn_str bytes;
};

struct pn_checkpoint {
    enum pn_checkpoint_kind kind;
    struct pn_mapping *maps;
    size_t n_maps;
    struct pn_tensor *tensors;
    size_t n_tensors, cap_tensors;
    uint32_t *by_name; /* [n_tensors] indices in the order of the names */
    struct pn_checkpoint_number *ints;
    size_t n_ints;
    struct pn_str *tokens;
    size_t n_tokens;
    struct pn_checkpoint_small_file files[16];
    size_t n_files;
    struct pn_arena *strings; /* names and tensors that do not lie in a mapping as they are */
    struct pn_digest digest;
};

/* An empty one; pn_checkpoint_close() frees it. */
PN_MUST_CHECK int pn_checkpoint_new(struct pn_checkpoint **ret, struct pn_err *err);
/* When all tensors are there: makes them searchable. -PN_EFORMAT: none, or two of one name. */
PN_MUST_CHECK int pn_checkpoint_index(struct pn_checkpoint *c, struct pn_err *err);
/* Maps one more file and counts it in the source's id. The bytes live as long as the checkpoint. */
PN_MUST_CHECK int pn_checkpoint_map(struct pn_checkpoint *c, const char *path, struct pn_str *ret,
                                    struct pn_err *err);
/* Copies `t`, whose name must outlive the checkpoint; `at`: byte of the file where it is described. Checks
 * the name and measures; the caller has set dtype and dims, and sets the data in the returned tensor. */
PN_MUST_CHECK int pn_checkpoint_add(struct pn_checkpoint *c, struct pn_tensor t, size_t at,
                                    struct pn_tensor **ret, struct pn_err *err);
PN_MUST_CHECK int pn_checkpoint_add_int(struct pn_checkpoint *c, struct pn_str name, int64_t value,
                                        struct pn_err *err);
/* Room for n tokens, all empty. */
PN_MUST_CHECK int pn_checkpoint_make_tokens(struct pn_checkpoint *c, size_t n, struct pn_err *err);

/* The formats: `file` is the mapped file. */
PN_MUST_CHECK int pn_torch_read(struct pn_checkpoint *c, struct pn_str file, struct pn_err *err);
PN_MUST_CHECK int pn_ggml_read(struct pn_checkpoint *c, struct pn_str file, struct pn_err *err);
/* A folder; `weights` names the one file to take, NULL: model.safetensors or its index. */
PN_MUST_CHECK int pn_hf_read(struct pn_checkpoint *c, const char *folder, const char *weights,
                             struct pn_err *err);

#endif
