/* words.h - text cut into the words that a punctuation model knows (spec paraformer 6.2). Pure.
 *
 * Between white space, a run of ASCII is a word and every other character is one. Where there is a
 * dictionary, characters beyond ASCII (white space among them is passed over) are cut into the most likely
 * sequence of its words instead: the dictionary's frequencies, the longer word at a tie. */
#ifndef PN_ASR_PUNCTUATION_WORDS_H
#define PN_ASR_PUNCTUATION_WORDS_H

#include "base/str.h"

#include <stdint.h>

enum {
    PN_MARK_RUN = 256, /* characters that the dictionary is applied to at a time */
    PN_MARK_WORD = 16, /* characters of a word of the dictionary, at most */
};

struct pn_mark_vocabulary {
    const void *ctx;
    int64_t (*id)(const void *ctx, struct pn_str word); /* below 0: none */
    int32_t unknown;                                    /* id of "<unk>" */
    /* The dictionary: ln of a word's frequency by its id, 1 for words that it does not have, and what a
     * character that it does not have is worth. NULL: there is none. */
    const float *log_p;
    float least;
};

/* A walk over a text, which it borrows. */
struct pn_mark_words {
    const struct pn_mark_vocabulary *v;
    struct pn_str rest;
    /* With a dictionary: characters that are being cut, and the words found in them. */
    char run[4 * PN_MARK_RUN];
    size_t run_len, run_at;
    uint16_t cut[PN_MARK_RUN]; /* lengths in bytes */
    size_t n_cut, next_cut;
};

struct pn_mark_token {
    struct pn_str text; /* valid until the next call; not empty */
    int32_t id;
    size_t chars; /* 1 for a run of ASCII */
};

void pn_mark_words_init(struct pn_mark_words *w, const struct pn_mark_vocabulary *v, struct pn_str text);
bool pn_mark_words_next(struct pn_mark_words *w, struct pn_mark_token *ret); /* false at the end */
bool pn_mark_words_left(struct pn_mark_words *w);                            /* whether there is another */

#endif
