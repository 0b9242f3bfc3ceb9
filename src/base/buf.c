/* buf.c - see buf.h.
 *
 * Invariant: len <= max, and cap > len whenever ptr is set, so there is always room for the NUL. */
#include "base/buf.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256 /* most answers and log lines fit */

void pn_buf_init(struct pn_buf *b, size_t max)
{
    *b = (struct pn_buf){ .max = PN_MIN(max, (size_t)PTRDIFF_MAX - 1) };
}

void pn_buf_done(struct pn_buf *b)
{
    free(b->ptr);
    pn_buf_init(b, b->max);
}

void pn_buf_clear(struct pn_buf *b)
{
    b->len = 0;
    b->failed = 0;
}

void pn_buf_cut(struct pn_buf *b, size_t len)
{
    if (len >= b->len)
        return;
    b->len = len;
    b->ptr[len] = 0;
}

/* Room for `extra` more bytes and the NUL. */
static bool reserve(struct pn_buf *b, size_t extra)
{
    if (b->failed)
        return false;
    if (extra > b->max - b->len) {
        b->failed = -PN_ELIMIT;
        return false;
    }
    size_t need = b->len + extra + 1;
    if (need <= b->cap)
        return true;
    size_t cap = PN_MAX(need, PN_MIN(PN_MAX(b->cap * 2, FIRST_CAP), b->max + 1));
    char *ptr = realloc(b->ptr, cap);
    if (!ptr) {
        b->failed = -PN_ENOMEM;
        return false;
    }
    b->ptr = ptr;
    b->cap = cap;
    return true;
}

void pn_buf_append(struct pn_buf *b, const void *bytes, size_t len)
{
    if (len == 0 || !reserve(b, len))
        return;
    memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
    b->ptr[b->len] = 0;
}

void pn_buf_str(struct pn_buf *b, struct pn_str s)
{
    pn_buf_append(b, s.ptr, s.len);
}

void pn_buf_puts(struct pn_buf *b, const char *cstr)
{
    pn_buf_append(b, cstr, strlen(cstr));
}

void pn_buf_putc(struct pn_buf *b, char c)
{
    pn_buf_append(b, &c, 1);
}

void pn_buf_printf(struct pn_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        b->failed = b->failed ? b->failed : -PN_ENOMEM;
    else if (n > 0 && reserve(b, (size_t)n)) {
        vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}

int pn_buf_take(struct pn_buf *b, char **ret, size_t *ret_len)
{
    if (!b->ptr)
        reserve(b, 0);
    if (b->failed)
        return b->failed;
    b->ptr[b->len] = 0;
    *ret = b->ptr;
    *ret_len = b->len;
    pn_buf_init(b, b->max);
    return 0;
}
