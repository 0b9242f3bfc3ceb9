/* terminal.h - what a terminal may be sent, and one line of it that is written anew again and again. */
#ifndef PN_CLI_TERMINAL_H
#define PN_CLI_TERMINAL_H

#include "base/buf.h"
#include "base/str.h"

/* Whether it is a terminal that can move its cursor. */
bool pn_terminal_moves(int fd);
int pn_terminal_columns(int fd);
/* The line is there to be looked at: nothing depends on whether it could be written. */
void pn_terminal_put(int fd, const char *text);
void pn_terminal_line(int fd, const char *line); /* in the place of the line before; "" leaves it empty */

/* Columns of the printable character that `s` begins with, and its bytes; -1 (and at least one byte, unless
 * `s` is empty) for what must not reach a terminal: control characters and bytes that are no UTF-8. Pure. */
int pn_terminal_next(struct pn_str s, size_t *ret_len);
/* Appends `text` as one line without what must not reach a terminal: line breaks and tabs become blanks, the
 * rest is left out. Pure. */
void pn_terminal_clean(struct pn_str text, struct pn_buf *out);
/* The end of a clean `text` that fits `width` columns. Pure. */
struct pn_str pn_terminal_tail(struct pn_str text, int width);
/* "1:02:03" or "2:03". */
void pn_format_clock(double seconds, char out[24]);

#endif
