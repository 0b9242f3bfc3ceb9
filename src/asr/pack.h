/* pack.h - a checkpoint's tensors into the sections of a packed file, and the model's pointers into them. */
#ifndef PN_ASR_PACK_H
#define PN_ASR_PACK_H

#include "asr/parts.h"
#include "model/tensor.h"

/* The tensor called `name` in the terms of the parts, checked: its shape, but for dimensions of 1, is
 * want[0] x want[1] x want[2], and it holds weights. -PN_EFORMAT: the text names it. */
typedef int (*pn_find_tensor_fn)(const void *from, const char *name, const int64_t want[3],
                                 const struct pn_tensor **ret, struct pn_err *err);
/* For `from` a struct pn_funasr, whose names are taken as they are. */
PN_MUST_CHECK int pn_find_funasr_tensor(const void *from, const char *name, const int64_t want[3],
                                        const struct pn_tensor **ret, struct pn_err *err);

/* How a model is found packed, or packed anew. */
struct pn_pack_job {
    struct pn_packed_key key;
    const struct pn_parts *parts;
    pn_find_tensor_fn find;
    const void *from;
    /* Sections beside the parts (a vocabulary): `add` writes them, `bind` takes them from a packed file that
     * may lack them or hold anything: then it says so, and the file is made anew. Either may be NULL. */
    int (*add)(void *model, struct pn_packed_writer *out, struct pn_err *err);
    int (*bind)(void *model, const struct pn_packed *packed, struct pn_err *err);
    void *model;
    const char *path;                             /* the source, which the packed file lies beside */
    const char *cache_dir;                        /* when it cannot; "" = nowhere */
    bool no_packed_file;                          /* neither read nor write one */
    struct pn_pool *pool;                         /* packs on all threads; NULL: on the caller's */
    void (*progress)(void *ctx, double fraction); /* while packing; may be NULL */
    void *ctx;
};

/* Opens the packed file if there is one that fits the key; else makes it beside the source, in the cache
 * folder, or, when neither can be written, in memory. All parts' pointers then lead into *ret, which the
 * model keeps open as long as it uses them. The text names the source. */
PN_MUST_CHECK int pn_pack_open(const struct pn_pack_job *job, struct pn_packed **ret, struct pn_err *err);

/* The middle of that: checks every tensor that the parts name, then fills their sections of `out` on the
 * pool, in pieces of about a megabyte: the model is never in memory as f32. -PN_EFORMAT: the text names the
 * tensor. */
PN_MUST_CHECK int pn_pack(const struct pn_pack_job *job, struct pn_packed_writer *out, struct pn_err *err);

#endif
