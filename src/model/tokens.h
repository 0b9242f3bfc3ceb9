/* tokens.h - the token list of a FunASR model: tokens.json (an array of strings, place = id) or tokens.txt (a
 * line each, blanks at its end dropped). */
#ifndef PN_MODEL_TOKENS_H
#define PN_MODEL_TOKENS_H

#include "base/error.h"
#include "model/text_index.h"

enum { PN_TOKENS_MAX = 1 << 20 };

struct pn_tokens {
    struct pn_str *list; /* [n], into `bytes`; owned, as these */
    size_t n;
    char *bytes;
    struct pn_text_index index;
};

/* `path` is for messages; the text is copied. -PN_EFORMAT, -PN_ELIMIT (64 MB, PN_TOKENS_MAX), -PN_ENOMEM. */
PN_MUST_CHECK int pn_tokens_from_json(struct pn_str text, const char *path, struct pn_tokens *ret,
                                      struct pn_err *err);
PN_MUST_CHECK int pn_tokens_from_lines(struct pn_str text, const char *path, struct pn_tokens *ret,
                                       struct pn_err *err);
void pn_tokens_done(struct pn_tokens *t); /* accepts one that is all zero */

#endif
