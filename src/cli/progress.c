/* progress.c - the progress line: name, bar, position, speed, time left. What a narrow terminal has no room
 * for is left out, the name is shortened first. */
#include "cli/progress.h"

#include "base/attr.h"
#include "base/clock.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { REDRAW_US = 100000, DEFAULT_COLUMNS = 80, MIN_BAR = 10, MAX_BAR = 40, MIN_NAME = 12 };

void pn_progress_init(struct pn_progress *p)
{
    const char *term = getenv("TERM");
    *p = (struct pn_progress){ .on = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0 };
}

/* ---- text ---- */

/* "1:02:03" or "2:03". */
static void format_clock(double seconds, char out[24])
{
    int64_t s = seconds > 0 ? (int64_t)PN_MIN(seconds, 1e9) : 0;
    if (s >= 3600)
        snprintf(out, 24, "%lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    else
        snprintf(out, 24, "%d:%02d", (int)(s / 60), (int)(s % 60));
}

/* Columns of a character: 0 for what must not reach a terminal, 2 for the East Asian wide ranges (close
 * enough for a file name). */
static int columns_of(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return 0;
    return (c >= 0x1100 && c < 0x1160) || (c >= 0x2e80 && c < 0xa4d0) || (c >= 0xac00 && c < 0xd7a4) ||
                   (c >= 0xf900 && c < 0xfb00) || (c >= 0xff00 && c < 0xff61) || c >= 0x1f300
               ? 2
               : 1;
}

/* Copies as much of the name as fits `width` columns, unprintable bytes as '?'. Returns the columns used. */
static int format_name(const char *name, int width, char *out, size_t cap)
{
    struct pn_str s = pn_str(name);
    int used = 0;
    size_t at = 0;
    while (s.len > 0) {
        uint32_t c = 0;
        size_t len = pn_utf8_next(s, &c);
        int columns = len ? columns_of(c) : 0;
        const char *from = columns ? s.ptr : "?";
        size_t n = columns ? len : 1;
        columns = PN_MAX(columns, 1);
        if (used + columns > width || at + n >= cap)
            break;
        memcpy(out + at, from, n);
        at += n;
        used += columns;
        len = PN_MAX(len, (size_t)1);
        s = (struct pn_str){ s.ptr + len, s.len - len };
    }
    out[at] = '\0';
    return used;
}

/* " 42% 61.2/145.2 MB 12.3 MB/s 0:11 left" */
static void format_megabytes(const struct pn_progress_view *v, double speed, char *out, size_t cap)
{
    char left[24];
    double done = PN_MIN(v->position_s / 1e6, 1e9), all = PN_MIN(v->duration_s / 1e6, 1e9);
    speed = PN_MIN(speed, 1e15);
    if (v->duration_s <= 0) {
        snprintf(out, cap, " %.1f MB %.1f MB/s", done, speed / 1e6);
        return;
    }
    int n = snprintf(out, cap, " %3d%% %.1f/%.1f MB %.1f MB/s", (int)(PN_MIN(done / all, 1.0) * 100), done,
                     all, speed / 1e6);
    if (speed > 0 && n > 0 && (size_t)n < cap) {
        format_clock((v->duration_s - v->position_s) / speed, left);
        snprintf(out + n, cap - (size_t)n, " %s left", left);
    }
}

/* " 42% 0:25/1:00 3.4x 0:11 left", or without what an unknown duration hides. */
static void format_numbers(const struct pn_progress_view *v, char *out, size_t cap)
{
    char position[24], duration[24], left[24];
    double speed = v->elapsed_s > 0 ? v->position_s / v->elapsed_s : 0;
    if (v->bytes) {
        format_megabytes(v, speed, out, cap);
        return;
    }
    format_clock(v->position_s, position);
    if (v->duration_s <= 0) {
        snprintf(out, cap, " %s %.1fx", position, speed);
        return;
    }
    format_clock(v->duration_s, duration);
    double done = PN_MIN(v->position_s / v->duration_s, 1.0);
    int n = snprintf(out, cap, " %3d%% %s/%s %.1fx", (int)(done * 100), position, duration, speed);
    if (speed > 0 && n > 0 && (size_t)n < cap) {
        format_clock((v->duration_s - v->position_s) / speed, left);
        snprintf(out + n, cap - (size_t)n, " %s left", left);
    }
}

static void format_bar(double done, int width, char *out)
{
    int full = (int)(done * (width - 3) + 0.5);
    out[0] = ' ';
    out[1] = '[';
    for (int i = 0; i < width - 3; i++)
        out[2 + i] = i < full ? '#' : '-';
    out[width - 1] = ']';
    out[width] = '\0';
}

void pn_progress_format(const struct pn_progress_view *v, int width, char *out, size_t cap)
{
    char count[48] = "", numbers[112], name[256], bar[MAX_BAR + 1] = "";
    if (v->n_files > 1)
        snprintf(count, sizeof(count), "[%zu/%zu] ", v->file, v->n_files);
    format_numbers(v, numbers, sizeof(numbers));
    int room = width - (int)strlen(count) - (int)strlen(numbers);
    int used = format_name(v->name, PN_MAX(room - MIN_BAR, PN_MIN(room, MIN_NAME)), name, sizeof(name));
    int bar_width = PN_MIN(room - used, MAX_BAR);
    if (v->duration_s > 0 && bar_width >= MIN_BAR)
        format_bar(PN_MIN(v->position_s / v->duration_s, 1.0), bar_width, bar);
    if (room >= 0)
        snprintf(out, cap, "%s%s%s%s", count, name, bar, numbers);
    else
        snprintf(out, cap, "%.*s", PN_MAX(width, 0), numbers);
}

/* ---- the terminal ---- */

static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return DEFAULT_COLUMNS;
    return size.ws_col;
}

/* The line is there to be looked at: nothing depends on whether it could be written. */
static void put(const char *text)
{
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n;
}

void pn_progress_draw(struct pn_progress *p, const struct pn_progress_view *v)
{
    int64_t now = pn_now_us();
    if (!p->on || (p->drawn && now - p->last_us < REDRAW_US))
        return;
    char line[512], framed[sizeof(line) + 8];
    /* The last column is left free: some terminals wrap as soon as it is written. */
    pn_progress_format(v, terminal_columns() - 1, line, sizeof(line));
    snprintf(framed, sizeof(framed), "\r%s\x1b[K", line);
    put(framed);
    p->drawn = true;
    p->last_us = now;
}

void pn_progress_clear(struct pn_progress *p)
{
    if (p->drawn)
        put("\r\x1b[K");
    p->drawn = false;
}
