/* language.h - Whisper's 100 languages: codes and English names. */
#ifndef PN_TEXT_LANGUAGE_H
#define PN_TEXT_LANGUAGE_H

#include "base/attr.h"
#include "base/str.h"

/* The code ("en") for a code, an English name ("english", "Mandarin"), or a tag ("zh-CN"), any case; "" for
 * "auto" and the empty slice (detect); NULL when it is no language we know. Static storage. */
const char *pn_language_code(struct pn_str name);
const char *pn_language_name(const char *code); /* "english"; NULL if unknown */
/* Place of a code in the order of Whisper's token ids, from 0; -1 if unknown; and back, NULL past the end. */
int pn_language_index(const char *code);
const char *pn_language_at(int index);

#endif
