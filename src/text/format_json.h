/* format_json.h - the two JSON shapes of a transcript, for format.c. */
#ifndef PN_TEXT_FORMAT_JSON_H
#define PN_TEXT_FORMAT_JSON_H

#include "base/buf.h"
#include "text/transcript.h"

/* One object without a newline. `verbose`: OpenAI's, else Whisper's. Failure is sticky in `out`. */
void pn_format_json(const struct pn_transcript *t, bool verbose, struct pn_buf *out);

#endif
