/* option_impl.h - what the readers of flags, environment and files share. For src/base only. */
#ifndef PN_BASE_OPTION_IMPL_H
#define PN_BASE_OPTION_IMPL_H

#include "base/option.h"

/* As pn_opt_set(); `where` ("FILE:3: PORT", "--port") starts the error text. */
PN_MUST_CHECK int pn_opt_assign(struct pn_opt_values *v, size_t i, struct pn_str text,
                                struct pn_opt_origin origin, const char *where, struct pn_err *err);
/* Text from outside for an error text: escaped, cut to some 50 bytes. */
struct pn_opt_quoted {
    char text[56];
};
struct pn_opt_quoted pn_opt_quote(struct pn_str s);
/* "debug, info, warn": without the other spellings. */
void pn_opt_choices_text(const struct pn_opt *o, char out[128]);
/* The next comma-separated word of *list, or one with ptr NULL at the end. */
struct pn_str pn_opt_next_word(const char **list);
/* Place of `name` among the environment names of the option, or -PN_ENOTFOUND. The first one set wins. */
int pn_opt_env_rank(const struct pn_opt *o, struct pn_str name);

#endif
