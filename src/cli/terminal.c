/* terminal.c - see terminal.h. */
#include "cli/terminal.h"

#include "text/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { DEFAULT_COLUMNS = 80 };

bool pn_terminal_moves(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && term && strcmp(term, "dumb") != 0;
}

int pn_terminal_columns(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return DEFAULT_COLUMNS;
    return size.ws_col;
}

void pn_terminal_put(int fd, const char *text)
{
    ssize_t n = write(fd, text, strlen(text));
    (void)n;
}

void pn_terminal_line(int fd, const char *line)
{
    char framed[2048];
    snprintf(framed, sizeof(framed), "\r%s\x1b[K", line);
    pn_terminal_put(fd, framed);
}

int pn_terminal_next(struct pn_str s, size_t *ret_len)
{
    uint32_t c = 0;
    size_t len = pn_utf8_next(s, &c);
    *ret_len = len > 0 ? len : s.len > 0;
    return len > 0 ? pn_utf8_columns(c) : -1;
}

void pn_terminal_clean(struct pn_str text, struct pn_buf *out)
{
    while (text.len > 0) {
        size_t len;
        bool blank = text.ptr[0] == '\n' || text.ptr[0] == '\r' || text.ptr[0] == '\t';
        if (pn_terminal_next(text, &len) >= 0)
            pn_buf_append(out, text.ptr, len);
        else if (blank)
            pn_buf_putc(out, ' ');
        text = (struct pn_str){ text.ptr + len, text.len - len };
    }
}

static int columns(struct pn_str text)
{
    int n = 0;
    for (size_t len; text.len > 0; text = (struct pn_str){ text.ptr + len, text.len - len })
        n += PN_MAX(pn_terminal_next(text, &len), 0);
    return n;
}

struct pn_str pn_terminal_tail(struct pn_str text, int width)
{
    size_t len;
    for (int n = columns(text); text.len > 0 && n > width;
         text = (struct pn_str){ text.ptr + len, text.len - len })
        n -= PN_MAX(pn_terminal_next(text, &len), 0);
    while (text.len > 0 && pn_terminal_next(text, &len) == 0) /* marks of a character that is cut off */
        text = (struct pn_str){ text.ptr + len, text.len - len };
    return text;
}

void pn_format_clock(double seconds, char out[24])
{
    int64_t s = seconds > 0 ? (int64_t)PN_MIN(seconds, 1e9) : 0;
    if (s >= 3600)
        snprintf(out, 24, "%lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    else
        snprintf(out, 24, "%d:%02d", (int)(s / 60), (int)(s % 60));
}
