/* base64.h - strict base64 (RFC 4648, with padding). */
#ifndef PN_TEXT_BASE64_H
#define PN_TEXT_BASE64_H

#include "base/buf.h"
#include "base/error.h"

/* Appends the decoded bytes; -PN_EFORMAT, with `out` untouched, when a character, the length or the padding
 * is wrong. */
PN_MUST_CHECK int pn_base64_decode(struct pn_str text, struct pn_buf *out);

#endif
