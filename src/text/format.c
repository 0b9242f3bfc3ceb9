/* format.c - a transcript as plain text, SubRip, WebVTT or tab-separated values; JSON is format_json.c's.
 * Pure: reads the transcript, appends to the buffer, whose failure is sticky. */
#include "text/format.h"

#include "text/format_json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *name, *extension;
} FORMATS[] = {
    [PN_FORMAT_TEXT] = { "text", "txt" }, [PN_FORMAT_JSON] = { "json", "json" },
    [PN_FORMAT_SRT] = { "srt", "srt" },   [PN_FORMAT_VTT] = { "vtt", "vtt" },
    [PN_FORMAT_TSV] = { "tsv", "tsv" },   [PN_FORMAT_VERBOSE_JSON] = { "verbose_json", "json" },
};

int pn_format_parse(struct pn_str name, enum pn_format *ret)
{
    if (pn_str_ieq(name, PN_STR("txt"))) {
        *ret = PN_FORMAT_TEXT;
        return 0;
    }
    for (size_t i = 0; i < PN_ARRAY_LEN(FORMATS); i++)
        if (pn_str_ieq(name, pn_str(FORMATS[i].name))) {
            *ret = (enum pn_format)i;
            return 0;
        }
    return -PN_EINVAL;
}

const char *pn_format_extension(enum pn_format f)
{
    return FORMATS[f].extension;
}

/* Half to even, as Python's round(), which the subtitle files of the Whisper command come from. */
static int64_t milliseconds(double seconds)
{
    return seconds > 0 ? llrint(seconds * 1000.0) : 0;
}

/* Hours always: SubRip wants them, WebVTT allows them. */
void pn_format_time(double seconds, char decimal_mark, struct pn_buf *out)
{
    int64_t ms = milliseconds(seconds);
    pn_buf_printf(out, "%02" PRId64 ":%02" PRId64 ":%02" PRId64 "%c%03" PRId64, ms / 3600000, ms / 60000 % 60,
                  ms / 1000 % 60, decimal_mark, ms % 1000);
}

/* The trimmed text on one line: a line break or a tab inside it would end the cue or the column. In cues
 * "-->", which only may stand between two times, becomes "->". */
static void write_line(struct pn_buf *out, const char *text, bool cue)
{
    struct pn_str s = pn_str_trim(pn_str(text));
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (cue && s.len - i >= 3 && memcmp(s.ptr + i, "-->", 3) == 0)
            continue;
        pn_buf_putc(out, c == '\n' || c == '\r' || c == '\t' ? ' ' : c);
    }
}

static void write_text(const struct pn_transcript *t, struct pn_buf *out)
{
    for (size_t i = 0; i < t->n_segments; i++) {
        write_line(out, t->segments[i].text, false);
        pn_buf_putc(out, '\n');
    }
}

static void write_cues(const struct pn_transcript *t, bool numbered, char decimal_mark, struct pn_buf *out)
{
    for (size_t i = 0; i < t->n_segments; i++) {
        const struct pn_segment *s = &t->segments[i];
        if (numbered)
            pn_buf_printf(out, "%zu\n", i + 1);
        pn_format_time(s->start, decimal_mark, out);
        pn_buf_puts(out, " --> ");
        pn_format_time(s->end, decimal_mark, out);
        pn_buf_putc(out, '\n');
        write_line(out, s->text, true);
        pn_buf_puts(out, "\n\n");
    }
}

static void write_vtt(const struct pn_transcript *t, struct pn_buf *out)
{
    pn_buf_puts(out, t->n_segments ? "WEBVTT\n\n" : "WEBVTT\n");
    write_cues(t, false, '.', out);
}

static void write_tsv(const struct pn_transcript *t, struct pn_buf *out)
{
    pn_buf_puts(out, "start\tend\ttext\n");
    for (size_t i = 0; i < t->n_segments; i++) {
        const struct pn_segment *s = &t->segments[i];
        pn_buf_printf(out, "%" PRId64 "\t%" PRId64 "\t", milliseconds(s->start), milliseconds(s->end));
        write_line(out, s->text, false);
        pn_buf_putc(out, '\n');
    }
}

void pn_format_write(enum pn_format f, const struct pn_transcript *t, struct pn_buf *out)
{
    switch (f) {
    case PN_FORMAT_TEXT:
        write_text(t, out);
        return;
    case PN_FORMAT_JSON:
    case PN_FORMAT_VERBOSE_JSON:
        pn_format_json(t, f == PN_FORMAT_VERBOSE_JSON, out);
        return;
    case PN_FORMAT_SRT:
        write_cues(t, true, ',', out);
        return;
    case PN_FORMAT_VTT:
        write_vtt(t, out);
        return;
    case PN_FORMAT_TSV:
        write_tsv(t, out);
        return;
    }
    PN_UNREACHABLE();
}
