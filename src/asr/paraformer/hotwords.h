/* hotwords.h - words that a request says are likely: read, and turned into a model's tokens (spec paraformer
 * 3.8). Pure.
 *
 * Two forms are read: a JSON object, {"阿里巴巴": 20, "hello": 5}; and a list, words between blanks, commas
 * (also ，、;) or line ends, each with ":WEIGHT" behind it or not. The model has no use for weights; a weight
 * of 0 or less takes the word out, so that a client can switch words off. */
#ifndef PN_ASR_PARAFORMER_HOTWORDS_H
#define PN_ASR_PARAFORMER_HOTWORDS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum {
    PN_HOTWORDS_TEXT_MAX = 1 << 16, /* bytes */
    PN_HOTWORDS_MAX = 1000,
    PN_HOTWORD_BYTES_MAX = 256,
    PN_HOTWORD_IDS_MAX = PN_HOTWORD_BYTES_MAX,
};

struct pn_hotword {
    struct pn_str text; /* a JSON key may have blanks in it: "new york" */
    double weight;      /* above 0; 1 when none was given */
};

struct pn_hotwords {
    const struct pn_hotword *word;
    size_t n;
};

/* The words lie in `a` and borrow nothing. Text that begins with "{" but is no JSON is read as a list.
 * -PN_ELIMIT (one of the limits above; text in *err), -PN_ENOMEM. */
PN_MUST_CHECK int pn_hotwords_parse(struct pn_str text, struct pn_arena *a, struct pn_hotwords *ret,
                                    struct pn_err *err);

/* What a model knows of words. */
struct pn_hotword_vocabulary {
    const void *ctx;
    struct pn_str (*pieces)(const void *ctx, struct pn_str word); /* seg_dict's line of it; empty: none */
    int64_t (*id)(const void *ctx, struct pn_str piece);          /* below 0: none */
    int32_t unknown;                                              /* id of "<unk>" */
};

/* Token ids of a hot word, each of its parts in lower case: a part that seg_dict knows is its pieces, Chinese
 * characters and digits are looked up one by one, other runs whole. Returns how many, 0 when the model knows
 * no part of it: such a word is of no use. -PN_ELIMIT: more than `max`. */
PN_MUST_CHECK int pn_hotword_ids(const struct pn_hotword_vocabulary *v, struct pn_str word, int32_t *ids,
                                 size_t max);

#endif
