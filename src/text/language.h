/* language.h - Whisper's 100 languages: codes and English names. */
#ifndef PN_TEXT_LANGUAGE_H
#define PN_TEXT_LANGUAGE_H

#include "base/attr.h"
#include "base/str.h"

/* The code ("en") for a code, an English name ("english", "Mandarin"), or a tag ("zh-CN"), any case; "" for
 * "auto" and the empty slice (detect); NULL when it is no language we know. Static storage. */
const char *pn_language_code(struct pn_str name);
const char *pn_language_name(const char *code); /* "english"; NULL if unknown */

#endif
