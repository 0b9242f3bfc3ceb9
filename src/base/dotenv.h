/* dotenv.h - `.env` files: NAME=value lines, `export ` allowed, # comments, 'single' quotes taken literally,
 * "double" quotes with \n \t \" \\ escapes, no expansion. At most 64 KB. */
#ifndef PN_BASE_DOTENV_H
#define PN_BASE_DOTENV_H

#include "base/option.h"

/* One assignment; `value` is borrowed for the call. A negative return stops the parse and becomes its result.
 */
typedef int (*pn_dotenv_fn)(void *ctx, struct pn_str name, struct pn_str value, int line, struct pn_err *err);
/* Pure: no files, no globals. `path` is only used in error texts ("FILE:LINE: ..."). */
PN_MUST_CHECK int pn_dotenv_parse(struct pn_str text, const char *path, pn_dotenv_fn fn, void *ctx,
                                  struct pn_err *err);
/* Reads a file into `v`. A missing file is 0 unless `required`. Unknown names are refused; an empty value
 * counts as unset. */
PN_MUST_CHECK int pn_opt_read_dotenv(struct pn_opt_values *v, const char *path, bool required,
                                     struct pn_err *err);

#endif
