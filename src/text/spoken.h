/* spoken.h - running text of any script, word by word: joining pieces of it, comparing them, and letting what
 * is shown grow. Scripts that write blanks between words (Latin, Hangul) have words between blanks; Chinese
 * characters and kana are a word each. Pure; any thread. */
#ifndef PN_TEXT_SPOKEN_H
#define PN_TEXT_SPOKEN_H

#include "base/buf.h"

/* Cuts the next word off *rest: the blanks and marks before it, itself, and the marks that follow it at once.
 * Empty at the end. Bytes that are no UTF-8 count as letters. */
struct pn_str pn_spoken_next(struct pn_str *rest);
/* A word without the blanks and marks around it; empty when there is nothing else. */
struct pn_str pn_spoken_core(struct pn_str word);
size_t pn_spoken_count(struct pn_str text); /* words that are not only marks */
/* The same word, whatever its case (ASCII) and its marks. */
bool pn_spoken_same(struct pn_str a, struct pn_str b);

/* Appends `piece`, after a blank if it needs one there: both sides are of scripts that write blanks and
 * neither brings one. Failures are the buffer's. */
void pn_spoken_join(struct pn_buf *out, struct pn_str piece);
/* What was shown of an utterance are the bytes of `out` from `from` on; `text` is what is known of it now.
 * Appends what is new. Nothing that was shown changes: where `text` says it differently, the words that
 * follow as many as were shown are appended. */
void pn_spoken_extend(struct pn_buf *out, size_t from, struct pn_str text);

#endif
