/* rules.h - where marks go, given a network that says what it thinks of some words (spec paraformer 6.2 and
 * 6.3). Knows nothing of the network itself.
 *
 * Words are judged 20 at a time, together with those before them whose sentence is still open: marks are
 * taken up to the last full stop or question mark but one word, the words behind it are judged again with the
 * next. */
#ifndef PN_ASR_PUNCTUATION_RULES_H
#define PN_ASR_PUNCTUATION_RULES_H

#include "asr/punctuation/punctuation.h"
#include "asr/punctuation/words.h"

enum {
    PN_MARK_STEP = 20,       /* words that join at a time */
    PN_MARK_PATIENCE = 200,  /* open words above which a comma closes the sentence */
    PN_MARK_WORDS_MAX = 1000 /* open words above which anything does (the reference has no limit) */
};

struct pn_mark_model {
    struct pn_mark_vocabulary vocabulary;
    void *ctx;
    /* The mark behind each of n (1.. PN_MARK_WORDS_MAX + PN_MARK_STEP) words; the first n_cached of them were
     * judged in an earlier call. 0 or -PN_E*. */
    int (*judge)(void *ctx, const int32_t *ids, size_t n, size_t n_cached, uint8_t *ret_marks);
};

/* Words and what is thought of them. */
struct pn_mark_list {
    struct pn_mark_item {
        size_t at, len; /* in `text` */
        size_t chars;
    } * item;
    int32_t *id;   /* [n] */
    uint8_t *mark; /* [n] enum pn_mark */
    size_t n, cap;
    struct pn_buf text;
};

void pn_mark_list_init(struct pn_mark_list *l, size_t text_max);
void pn_mark_list_done(struct pn_mark_list *l);
struct pn_str pn_mark_list_word(const struct pn_mark_list *l, size_t i);
/* Appends up to `n` words. -PN_ENOMEM, -PN_ELIMIT. */
PN_MUST_CHECK int pn_mark_list_read(struct pn_mark_list *l, struct pn_mark_words *from, size_t n);
void pn_mark_list_drop(struct pn_mark_list *l, size_t n); /* the first n words */

/* Judges words [from, l->n), of which the first n_cached are old. Returns how many of all l->n words are
 * done: all when `last`, else those up to where a sentence ends. -PN_E*. */
PN_MUST_CHECK int pn_mark_judge(const struct pn_mark_model *m, struct pn_mark_list *l, size_t from,
                                size_t n_cached, bool last, size_t *ret_done);
/* The last full stop or question mark but those at the end and in the first two words; the place behind it, 0
 * when there is none. */
size_t pn_mark_sentence_end(const uint8_t *mark, size_t n);
struct pn_str pn_mark_text(enum pn_mark m); /* "，"; "" for none */

/* The whole text of pn_punctuate(). On failure `out` and `ret_marks` are as they were. */
PN_MUST_CHECK int pn_mark_text_offline(const struct pn_mark_model *m, struct pn_str text, struct pn_buf *out,
                                       struct pn_buf *ret_marks);

enum { PN_MARK_CALL_MAX = 1 << 20 }; /* bytes of one call's text */

/* One call of pn_punctuator_add(). `cache` holds the words whose sentence is open. On failure `out` and the
 * cache are as they were. */
PN_MUST_CHECK int pn_mark_text_streaming(const struct pn_mark_model *m, struct pn_buf *cache,
                                         struct pn_str text, struct pn_buf *out);

#endif
