/* itn.h - inverse text normalisation: spoken numbers, dates, times, money, percentages and telephone numbers
 * as they are written. Rules and tables are data (src/text/itn, *.tsv), compiled into the program.
 *
 * Text that no rule matches is left as it is, byte for byte; applying it twice changes nothing more. */
#ifndef PN_TEXT_ITN_ITN_H
#define PN_TEXT_ITN_ITN_H

#include "base/buf.h"
#include "base/str.h"

/* Appends the written form of `text` to `out`. `language`: "zh" or "en" rules alone; "" by script: both.
 * Others copy the text. Any thread. -PN_ENOMEM, -PN_ELIMIT (the limit of `out`). */
PN_MUST_CHECK int pn_itn(struct pn_str text, const char *language, struct pn_buf *out);

#endif
