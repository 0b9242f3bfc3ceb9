/* itn_impl.h - what the files of this folder share: tokens, and the steps from text to what is written.
 *
 * A text is read as clauses: words that a language's tables know, one directly after the other; whatever else
 * there is ends a clause and stays as it is. In a clause the parts of numbers become numbers (number_*.c),
 * then each place is tried against the rules (rules.c), and what one says is written (write.c). Every step
 * looks a bounded way ahead or goes through a clause once, so the time is linear in the text. */
#ifndef PN_TEXT_ITN_ITN_IMPL_H
#define PN_TEXT_ITN_ITN_IMPL_H

#include "base/buf.h"
#include "text/itn/tables.h"

/* What a number can be read as; none of it: it has no digits ("several hundred"). */
enum {
    PN_ITN_CARDINAL = 1,
    PN_ITN_ORDINAL = 2,
    PN_ITN_DIGITS = 4,
    PN_ITN_SCALED = 8, /* digits and then a scale */
    PN_ITN_LOOSE = 16, /* digits that may be meant as an approximation or an enumeration */
};

struct pn_itn_token {
    struct pn_str said; /* in the text */
    uint16_t word;      /* of the first word in it */
    bool number;
    uint8_t kinds;
    size_t n_digits; /* of a string of digits */
    size_t scale_at; /* of PN_ITN_SCALED: where in `said` the scale begins */
    uint64_t value;  /* of a cardinal or an ordinal, and of at most 18 digits */
};

struct pn_itn_clause {
    struct pn_itn_token *tokens; /* owned */
    size_t n, cap;
};

struct pn_itn_lexer {
    const struct pn_itn_language *language;
    struct pn_str rest;
    const char *end; /* of the last word; NULL: none before in this clause */
    bool after_part; /* the last word is a part of a number and ends where `rest` begins */
};

/* The next word of the text into `ret`; false at its end. `ret_apart`: it begins another clause. */
bool pn_itn_next(struct pn_itn_lexer *x, struct pn_itn_token *ret, bool *ret_apart);
/* Bytes of the longest word at the start of `s` that is a part of a number or PN_ITN_REPEAT; 0: there is
 * none. */
size_t pn_itn_longest_part(const struct pn_itn_language *language, struct pn_str s, uint16_t *ret_word);

/* Joins the parts of numbers to numbers. */
void pn_itn_numbers_zh(const struct pn_itn_language *language, struct pn_itn_clause *c);
void pn_itn_numbers_en(const struct pn_itn_language *language, struct pn_itn_clause *c);

struct pn_itn_output {
    const struct pn_itn_language *language;
    struct pn_buf *buf;
    size_t from;        /* where this text begins in it */
    const char *copied; /* the text up to here is in it */
    const char *end;    /* of the text */
};

/* Appends the text up to and with the clause's last match, as it is written. */
void pn_itn_apply(const struct pn_itn_clause *c, struct pn_itn_output *out);
/* Appends the text from `copied` up to `end` as it is. */
void pn_itn_copy(struct pn_itn_output *out, const char *end);
/* Appends a template; `found`: the token of each element, NULL for one that is not there. */
void pn_itn_write(const char *written, const struct pn_itn_token *const *found, struct pn_itn_output *out);

static inline const struct pn_itn_word *pn_itn_word_of(const struct pn_itn_language *language,
                                                       const struct pn_itn_token *t)
{
    return &language->words[t->word];
}

static inline bool pn_itn_is_part(const struct pn_itn_word *w)
{
    return w->role >= PN_ITN_DIGIT;
}

#endif
