/* listen_screen.c - see listen_screen.h. */
#include "cli/listen_screen.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/terminal.h"
#include "text/format.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { REDRAW_US = 100000, METER = 8 /* columns */, FLOOR_DB = 48, DECIMALS = 3 };
#define LINE_MAX_BYTES ((size_t)4 << 20)

void pn_screen_init(struct pn_screen *s, bool json, bool timestamps)
{
    *s = (struct pn_screen){ .json = json, .timestamps = timestamps, .line_fd = -1 };
    if (!json && pn_terminal_moves(STDOUT_FILENO))
        s->line_fd = STDOUT_FILENO;
    else if (!isatty(STDOUT_FILENO) && pn_terminal_moves(STDERR_FILENO))
        s->line_fd = STDERR_FILENO;
    pn_buf_init(&s->open, LINE_MAX_BYTES);
    pn_buf_init(&s->line, 2 * LINE_MAX_BYTES);
}

static void clear_line(struct pn_screen *s)
{
    if (s->drawn)
        pn_terminal_line(s->line_fd, "");
    s->drawn = false;
}

void pn_screen_done(struct pn_screen *s)
{
    clear_line(s);
    pn_buf_done(&s->open);
    pn_buf_done(&s->line);
}

/* ---- lines that stay ---- */

static void write_json(const struct pn_heard_text *t, struct pn_buf *out)
{
    struct pn_json j;
    pn_json_init(&j, out);
    pn_json_begin_object(&j);
    pn_json_key(&j, "type");
    pn_json_cstr(&j, t->final ? "final" : "partial");
    pn_json_key(&j, "start");
    pn_json_fixed(&j, t->start, DECIMALS);
    pn_json_key(&j, "end");
    pn_json_fixed(&j, t->end, DECIMALS);
    pn_json_key(&j, "text");
    pn_json_str(&j, t->text);
    pn_json_end_object(&j);
}

static void write_line(const struct pn_screen *s, const struct pn_heard_text *t, struct pn_buf *out)
{
    if (s->timestamps) {
        pn_buf_putc(out, '[');
        pn_format_time(t->start, '.', out);
        pn_buf_puts(out, " --> ");
        pn_format_time(t->end, '.', out);
        pn_buf_puts(out, "] ");
    }
    pn_terminal_clean(t->text, out);
}

static int print(struct pn_screen *s, const struct pn_heard_text *t, struct pn_err *err)
{
    pn_buf_clear(&s->line);
    if (s->json)
        write_json(t, &s->line);
    else
        write_line(s, t, &s->line);
    pn_buf_putc(&s->line, '\n');
    if (s->line.failed)
        return pn_fail(err, PN_ENOMEM, "no memory for the text");
    clear_line(s);
    if (pn_write_all(STDOUT_FILENO, (struct pn_str){ s->line.ptr, s->line.len }) < 0)
        return pn_fail_errno(err, "standard output");
    return 0;
}

int pn_screen_told(struct pn_screen *s, const struct pn_heard_text *t, struct pn_err *err)
{
    if (t->final) {
        pn_buf_clear(&s->open);
        return t->text.len > 0 ? print(s, t, err) : 0;
    }
    pn_buf_clear(&s->line);
    pn_terminal_clean(t->text, &s->line);
    if (pn_str_eq((struct pn_str){ s->line.ptr, s->line.len }, (struct pn_str){ s->open.ptr, s->open.len }))
        return 0;
    pn_buf_clear(&s->open);
    pn_buf_str(&s->open, (struct pn_str){ s->line.ptr, s->line.len });
    s->drawn_us = 0; /* new text is shown at once */
    return s->json && t->text.len > 0 ? print(s, t, err) : 0;
}

/* ---- the line that moves ---- */

/* "[###-----] ": the level in decibels, FLOOR_DB below the loudest and less is nothing. */
static void write_meter(double level, struct pn_buf *out)
{
    double db = level > 0 ? 20 * log10(level) : -FLOOR_DB;
    int full = (int)(METER * (1 + PN_MAX(db, -FLOOR_DB) / FLOOR_DB) + 0.5);
    pn_buf_putc(out, '[');
    for (int i = 0; i < METER; i++)
        pn_buf_putc(out, i < full ? '#' : '-');
    pn_buf_puts(out, "] ");
}

void pn_screen_format(const struct pn_screen_view *v, struct pn_str open, int width, struct pn_buf *out)
{
    char clock[24];
    size_t from = out->len;
    pn_format_clock(v->heard_s, clock);
    if (v->level >= 0)
        write_meter(v->level, out);
    pn_buf_puts(out, clock);
    if (v->overruns)
        pn_buf_printf(out, " (%llu gaps)", (unsigned long long)v->overruns);
    if (v->ending)
        pn_buf_puts(out, " (ending)");
    if (out->failed || (int)(out->len - from) > width) {
        pn_buf_cut(out, from + (size_t)PN_MAX(width, 0));
        return;
    }
    int room = width - (int)(out->len - from) - 1;
    struct pn_str shown = pn_terminal_tail(open, room);
    bool cut = shown.len < open.len;
    if (cut)
        shown = pn_terminal_tail(open, room - 3);
    if (shown.len == 0)
        return;
    pn_buf_puts(out, cut ? " ..." : " ");
    pn_buf_str(out, shown);
}

void pn_screen_draw(struct pn_screen *s, const struct pn_screen_view *v)
{
    int64_t now = pn_now_us();
    if (s->line_fd < 0 || now - s->drawn_us < REDRAW_US)
        return;
    pn_buf_clear(&s->line);
    /* The last column is left free: some terminals wrap as soon as it is written. */
    pn_screen_format(v, (struct pn_str){ s->open.ptr, s->open.len }, pn_terminal_columns(s->line_fd) - 1,
                     &s->line);
    if (s->line.failed || s->line.len == 0)
        return;
    pn_terminal_line(s->line_fd, s->line.ptr);
    s->drawn = true;
    s->drawn_us = now;
}
