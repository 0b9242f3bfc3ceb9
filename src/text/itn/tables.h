/* tables.h - the vocabulary and the rules of a language as tables.py makes them from zh.tsv and en.tsv.
 *
 * They are made when the program is built: a mistake in a data file ends the build with its line, and there
 * is no parser, no allocation and no first use at run time. Constant data, any thread. */
#ifndef PN_TEXT_ITN_TABLES_H
#define PN_TEXT_ITN_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a word does in a number. From PN_ITN_DIGIT on a word is a part of one. */
enum pn_itn_role {
    PN_ITN_PLAIN,   /* known because a rule names it */
    PN_ITN_KEEP,    /* an idiom: nothing in it is a number, no rule reaches across it */
    PN_ITN_JOIN,    /* "and" of "one hundred and five" */
    PN_ITN_ARTICLE, /* "a" of "a hundred and five" */
    PN_ITN_POINT,   /* before decimals */
    PN_ITN_REPEAT,  /* "double": the next digit, `value` times */
    PN_ITN_DIGIT,   /* 0 to 9 */
    PN_ITN_FIGURE,  /* a digit only among digits: "oh" */
    PN_ITN_COUNT,   /* a digit only in a cardinal: "two" of Chinese counting */
    PN_ITN_TEEN,    /* 10 to 19 */
    PN_ITN_TENS,    /* 20, 30 ... 90 */
    PN_ITN_SCALE,   /* multiplies what precedes it */
    PN_ITN_VAGUE,   /* makes the number around it one that has no digits: "several" in Chinese */
};

enum {
    PN_ITN_IS_ORDINAL = 1,   /* "fifth" */
    PN_ITN_NUMBER_FIRST = 2, /* a phrase that begins with a part of a number: it is none after another one */
    PN_ITN_NUMBER_LAST = 4,  /* the same for its end */
    PN_ITN_BEGINS = 8,       /* what some rule says begins with it */
};

struct pn_itn_word {
    uint64_t value;   /* of a part of a number */
    uint64_t classes; /* a bit for each class that holds it */
    uint8_t role;     /* enum pn_itn_role */
    uint8_t flags;
    const char *written;           /* what {n} writes for it; NULL: its own bytes */
    const char *const *not_before; /* of PN_ITN_KEEP: it is none before these, NULL at the end; or NULL */
};

/* The words as a tree of bytes, ASCII letters in lower case. */
struct pn_itn_node {
    uint16_t edge; /* its first edge */
    uint8_t n_edges;
    int16_t word; /* that ends here; -1: none */
};

struct pn_itn_edge {
    uint8_t byte;
    uint16_t node;
};

/* One thing that an element of a rule may be. */
enum pn_itn_atom_kind {
    PN_ITN_A_WORD,     /* word `min` */
    PN_ITN_A_CLASS,    /* a word of class `min` */
    PN_ITN_A_CARDINAL, /* of min to max */
    PN_ITN_A_ORDINAL,  /* of min to max */
    PN_ITN_A_DIGITS,   /* a string of min to max digits */
    PN_ITN_A_CODE,     /* the same, none that may be meant as an approximation or an enumeration */
    PN_ITN_A_SCALED,   /* digits and a scale after a decimal point: "five million" of "one point five million"
                        */
    PN_ITN_A_MINUTES,  /* two digits, the first of them zero */
    PN_ITN_A_CLOCK,    /* an hour and such minutes in three or four digits */
};

struct pn_itn_atom {
    uint8_t kind;
    uint64_t min, max;
};

struct pn_itn_element {
    const struct pn_itn_atom *atoms; /* any of them */
    uint8_t n_atoms;
    bool optional;
    bool negated; /* of a context: there is none of them (or nothing at all) */
};

struct pn_itn_pattern {
    const struct pn_itn_element *elements;
    size_t n;
};

enum { PN_ITN_MAX_ELEMENTS = 12 }; /* of a pattern */

/* How {n} of a template is written; its two bytes after PN_ITN_SLOT are '1' + element and '0' + form. */
enum pn_itn_form {
    PN_ITN_F_NATURAL, /* a round number with its scale, an ordinal with its ending, digits as digits */
    PN_ITN_F_PLAIN,   /* digits alone */
    PN_ITN_F_PAD2,    /* at least two digits */
    PN_ITN_F_BEFORE,  /* the hour before, of 1 to 12 */
    PN_ITN_F_REST,    /* what is left of 60, two digits */
    PN_ITN_F_CLOCK,   /* a colon before the last two digits */
    PN_ITN_F_PHONE,   /* 7, 10 or 11 digits grouped as in North America */
    PN_ITN_F_SCALED,  /* digits, and the scale in words */
};
#define PN_ITN_SLOT '\1'

struct pn_itn_rule {
    struct pn_itn_pattern left, said, right; /* what precedes it, what is replaced, what follows it */
    size_t least;                            /* the fewest tokens of `said` */
    const char *written;
};

/* A number that is a multiple of `value` / 10^decimals and no less than `value` is written with `suffix`. */
struct pn_itn_round {
    uint64_t value;
    unsigned decimals;
    const char *suffix;
    const char *other; /* another spelling, used where its last character was used; or NULL */
};

struct pn_itn_rules {
    const struct pn_itn_rule *rules;
    size_t n;
};

struct pn_itn_language {
    bool spaced; /* words are between spaces; else anywhere */
    const struct pn_itn_node *nodes;
    const struct pn_itn_edge *edges;
    const struct pn_itn_word *words;
    struct pn_itn_rules by_number, by_word; /* whose `said` begins with a number; with a word */
    const struct pn_itn_round *rounds;      /* the largest first */
    size_t n_rounds;
};

extern const struct pn_itn_language pn_itn_zh, pn_itn_en;

#endif
