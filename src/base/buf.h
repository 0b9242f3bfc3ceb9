/* buf.h - a growing byte buffer with a hard maximum.
 *
 * Appending past `max` or without memory sets a sticky failure and keeps what was there, so that a
 * writer checks once at the end. Not thread safe. */
#ifndef PN_BASE_BUF_H
#define PN_BASE_BUF_H

#include "base/attr.h"
#include "base/str.h"

struct pn_buf {
    char *ptr;  /* owned; NUL-terminated whenever len > 0 */
    size_t len; /* bytes in use, without the NUL */
    size_t cap; /* bytes allocated */
    size_t max; /* len never exceeds this */
    int failed; /* sticky: 0, -PN_ENOMEM or -PN_ELIMIT */
};

void pn_buf_init(struct pn_buf *b, size_t max);
void pn_buf_done(struct pn_buf *b);
void pn_buf_clear(struct pn_buf *b); /* len = 0, failed = 0; keeps the memory */
void pn_buf_cut(struct pn_buf *b,
                size_t len); /* forgets what lies past `len`, if anything; a failure stays */
void pn_buf_append(struct pn_buf *b, const void *bytes, size_t len);
void pn_buf_str(struct pn_buf *b, struct pn_str s);
void pn_buf_puts(struct pn_buf *b, const char *cstr);
void pn_buf_putc(struct pn_buf *b, char c);
void pn_buf_printf(struct pn_buf *b, const char *fmt, ...) PN_PRINTF(2, 3);
/* Hands the bytes (NUL-terminated, malloc'd, never NULL on success) to the caller and empties the
 * buffer. -PN_ENOMEM or -PN_ELIMIT after a sticky failure. */
PN_MUST_CHECK int pn_buf_take(struct pn_buf *b, char **ret, size_t *ret_len);

#endif
