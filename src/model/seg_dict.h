/* seg_dict.h - how words are cut into tokens: lines of a word and its pieces, separated by blanks. */
#ifndef PN_MODEL_SEG_DICT_H
#define PN_MODEL_SEG_DICT_H

#include "base/error.h"
#include "model/text_index.h"

enum { PN_SEG_DICT_MAX = 1 << 21 };

struct pn_seg_dict {
    struct pn_str *word, *pieces; /* [n] each, into the text; owned */
    size_t n;
    struct pn_text_index index;
};

/* `text` must outlive it; `path` is for messages. Lines without pieces are passed over; of two for one word
 * the last counts. -PN_ELIMIT (64 MB, PN_SEG_DICT_MAX words), -PN_ENOMEM. */
PN_MUST_CHECK int pn_seg_dict_parse(struct pn_str text, const char *path, struct pn_seg_dict *ret,
                                    struct pn_err *err);
void pn_seg_dict_done(struct pn_seg_dict *d); /* accepts one that is all zero */
/* Empty when the word is not there. */
struct pn_str pn_seg_dict_find(const struct pn_seg_dict *d, struct pn_str word);

#endif
