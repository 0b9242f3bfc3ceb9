/* format.h - a transcript written as text, JSON, SRT, WebVTT or TSV (shapes: spec http-apis 1.1 and 7). */
#ifndef PN_TEXT_FORMAT_H
#define PN_TEXT_FORMAT_H

#include "base/buf.h"
#include "text/transcript.h"

enum pn_format {
    PN_FORMAT_TEXT,
    PN_FORMAT_JSON,
    PN_FORMAT_SRT,
    PN_FORMAT_VTT,
    PN_FORMAT_TSV,
    PN_FORMAT_VERBOSE_JSON
};

/* "text" ("txt"), "json", "srt", "vtt", "tsv", "verbose_json"; -PN_EINVAL. */
PN_MUST_CHECK int pn_format_parse(struct pn_str name, enum pn_format *ret);
const char *pn_format_extension(enum pn_format f); /* "txt", "json", "srt", "vtt", "tsv", "json" */
/* JSON is {"text","language","segments"} with the ten keys a segment, as the Whisper command writes and
 * /transcribe answers; VERBOSE_JSON is OpenAI's {"task","language" (English
 * name),"duration","text","segments"}. */
void pn_format_write(enum pn_format f, const struct pn_transcript *t, struct pn_buf *out);
/* "00:01:02.345", with `decimal_mark` before the milliseconds. */
void pn_format_time(double seconds, char decimal_mark, struct pn_buf *out);

#endif
