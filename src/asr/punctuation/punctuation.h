/* punctuation.h - CT-Transformer: punctuation for text without any (spec paraformer 6).
 *
 * The model is immutable and shared; a call computes on the calling thread with memory of its own, some
 * megabytes at most however long the text is. What the words of a model are: words.h; where marks go:
 * rules.h.
 */
#ifndef PN_ASR_PUNCTUATION_PUNCTUATION_H
#define PN_ASR_PUNCTUATION_PUNCTUATION_H

#include "base/buf.h"
#include "base/error.h"
#include "nn/pool.h"
#include "nn/precision.h"

struct pn_punctuation; /* the model */
struct pn_punctuator;  /* one stream of sentences: what is not closed yet */

struct pn_punctuation_options {
    const char *path;      /* ModelScope folder: CTTransformer or CTTransformerStreaming */
    const char *cache_dir; /* for packed files that cannot lie beside their source; "" = nowhere */
    enum pn_precision precision;
    bool no_packed_file;  /* keep packed weights in memory only (tests) */
    struct pn_pool *pool; /* to pack with, once; may be NULL */
    void (*progress)(void *ctx, double fraction);
    void *ctx;
};

enum pn_mark { PN_MARK_NONE = 1, PN_MARK_COMMA, PN_MARK_PERIOD, PN_MARK_QUESTION, PN_MARK_PAUSE /* 、 */ };

PN_MUST_CHECK int pn_punctuation_open(const struct pn_punctuation_options *opt, struct pn_punctuation **ret,
                                      struct pn_err *err);
struct pn_punctuation *pn_punctuation_close(struct pn_punctuation *p); /* accepts NULL, returns NULL */

/* Offline (6.2): appends the whole text with its marks to `out`; one that begins in English begins with a
 * blank. `ret_marks`, if not NULL, gets one byte of enum pn_mark a word (a character, or a run of ASCII)
 * appended. -PN_ENOMEM, -PN_ELIMIT (a limit of `out`). */
PN_MUST_CHECK int pn_punctuate(const struct pn_punctuation *p, struct pn_str text, struct pn_buf *out,
                               struct pn_buf *ret_marks);

/* Sentence after sentence (6.3): each call appends what is decided now; a mark at the very end is kept back,
 * and comes first in what the next call appends. -PN_ELIMIT: more than 1 MB in one call, or a limit of `out`.
 */
PN_MUST_CHECK int pn_punctuator_new(const struct pn_punctuation *p, struct pn_punctuator **ret);
struct pn_punctuator *pn_punctuator_free(struct pn_punctuator *u); /* accepts NULL, returns NULL */
void pn_punctuator_reset(struct pn_punctuator *u);                 /* end of speech */
PN_MUST_CHECK int pn_punctuator_add(struct pn_punctuator *u, struct pn_str text, struct pn_buf *out);

#endif
