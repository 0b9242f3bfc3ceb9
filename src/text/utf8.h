/* utf8.h - white space and letters as Unicode has them, for text that people typed and models wrote. */
#ifndef PN_TEXT_UTF8_H
#define PN_TEXT_UTF8_H

#include "base/str.h"

bool pn_utf8_is_space(uint32_t cp);  /* Unicode's White_Space property */
bool pn_utf8_is_letter(uint32_t cp); /* general category L: Chinese characters, too */
/* Columns of a terminal that a character takes: 0 (marks over the one before), 1, 2 (Chinese, emoji); -1 for
 * what is not printed: controls, line and paragraph separators, what turns the direction of writing. */
int pn_utf8_columns(uint32_t cp);
/* Without white space at both ends: White_Space and, as Python's strip() has it, U+001C..U+001F. */
struct pn_str pn_utf8_strip(struct pn_str s);

#endif
