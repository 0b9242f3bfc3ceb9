/* progress.c - the progress line: name, bar, position, speed, time left. What a narrow terminal has no room
 * for is left out, the name is shortened first. */
#include "cli/progress.h"

#include "base/attr.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/terminal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REDRAW_US = 100000, MIN_BAR = 10, MAX_BAR = 40, MIN_NAME = 12 };

void pn_progress_init(struct pn_progress *p)
{
    *p = (struct pn_progress){ .on = pn_terminal_moves(STDERR_FILENO) };
}

/* ---- text ---- */

/* Copies as much of the name as fits `width` columns, unprintable bytes as '?'. Returns the columns used. */
static int format_name(const char *name, int width, char *out, size_t cap)
{
    struct pn_str s = pn_str(name);
    int used = 0;
    size_t at = 0;
    while (s.len > 0) {
        size_t len;
        int columns = pn_terminal_next(s, &len);
        const char *from = columns >= 0 ? s.ptr : "?";
        size_t n = columns >= 0 ? len : 1;
        columns = columns >= 0 ? columns : 1;
        if (used + columns > width || at + n >= cap)
            break;
        memcpy(out + at, from, n);
        at += n;
        used += columns;
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
        pn_format_clock((v->duration_s - v->position_s) / speed, left);
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
    pn_format_clock(v->position_s, position);
    if (v->duration_s <= 0) {
        snprintf(out, cap, " %s %.1fx", position, speed);
        return;
    }
    pn_format_clock(v->duration_s, duration);
    double done = PN_MIN(v->position_s / v->duration_s, 1.0);
    int n = snprintf(out, cap, " %3d%% %s/%s %.1fx", (int)(done * 100), position, duration, speed);
    if (speed > 0 && n > 0 && (size_t)n < cap) {
        pn_format_clock((v->duration_s - v->position_s) / speed, left);
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

void pn_progress_draw(struct pn_progress *p, const struct pn_progress_view *v)
{
    int64_t now = pn_now_us();
    if (!p->on || (p->drawn && now - p->last_us < REDRAW_US))
        return;
    char line[512];
    /* The last column is left free: some terminals wrap as soon as it is written. */
    pn_progress_format(v, pn_terminal_columns(STDERR_FILENO) - 1, line, sizeof(line));
    pn_terminal_line(STDERR_FILENO, line);
    p->drawn = true;
    p->last_us = now;
}

void pn_progress_clear(struct pn_progress *p)
{
    if (p->drawn)
        pn_terminal_line(STDERR_FILENO, "");
    p->drawn = false;
}
