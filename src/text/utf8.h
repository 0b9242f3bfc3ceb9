/* utf8.h - white space and letters as Unicode has them, for text that people typed and models wrote. */
#ifndef PN_TEXT_UTF8_H
#define PN_TEXT_UTF8_H

#include "base/str.h"

bool pn_utf8_is_space(uint32_t cp);  /* Unicode's White_Space property */
bool pn_utf8_is_letter(uint32_t cp); /* general category L: Chinese characters, too */
/* Without white space at both ends: White_Space and, as Python's strip() has it, U+001C..U+001F. */
struct pn_str pn_utf8_strip(struct pn_str s);

#endif
