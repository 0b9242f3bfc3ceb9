/* json.c - see json.h.
 *
 * Invariant: between calls `out` holds a prefix of one valid JSON text; first[depth] tells whether the next
 * element needs no comma. */
#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

void pn_json_init(struct pn_json *j, struct pn_buf *out)
{
    *j = (struct pn_json){ .out = out };
    j->first[0] = true;
}

/* The comma before a value or a key, when one is due. */
static void separate(struct pn_json *j)
{
    if (!j->after_key && !j->first[j->depth])
        pn_buf_putc(j->out, ',');
    j->first[j->depth] = false;
    j->after_key = false;
}

static void begin(struct pn_json *j, char bracket)
{
    separate(j);
    pn_buf_putc(j->out, bracket);
    assert(j->depth + 1 < PN_ARRAY_LEN(j->first));
    j->first[++j->depth] = true;
}

static void end(struct pn_json *j, char bracket)
{
    assert(j->depth > 0 && !j->after_key);
    j->depth--;
    pn_buf_putc(j->out, bracket);
}

void pn_json_begin_object(struct pn_json *j)
{
    begin(j, '{');
}

void pn_json_end_object(struct pn_json *j)
{
    end(j, '}');
}

void pn_json_begin_array(struct pn_json *j)
{
    begin(j, '[');
}

void pn_json_end_array(struct pn_json *j)
{
    end(j, ']');
}

static void quoted(struct pn_json *j, struct pn_str v)
{
    pn_buf_putc(j->out, '"');
    pn_json_escape(j->out, v);
    pn_buf_putc(j->out, '"');
}

void pn_json_key(struct pn_json *j, const char *key)
{
    assert(j->depth > 0 && !j->after_key);
    separate(j);
    quoted(j, pn_str(key));
    pn_buf_putc(j->out, ':');
    j->after_key = true;
}

void pn_json_str(struct pn_json *j, struct pn_str v)
{
    separate(j);
    quoted(j, v);
}

void pn_json_cstr(struct pn_json *j, const char *v)
{
    if (v)
        pn_json_str(j, pn_str(v));
    else
        pn_json_null(j);
}

void pn_json_i64(struct pn_json *j, int64_t v)
{
    separate(j);
    pn_buf_printf(j->out, "%" PRId64, v);
}

void pn_json_f64(struct pn_json *j, double v)
{
    if (!isfinite(v)) {
        pn_json_null(j);
        return;
    }
    char text[32];
    pn_format_f64(v, text);
    separate(j);
    pn_buf_puts(j->out, text);
    if (!strpbrk(text, ".e"))
        pn_buf_puts(j->out, ".0"); /* so that a real number stays one for typed readers */
}

/* The decimal point may be the locale's, of any length: whatever stands between the digits becomes '.'. */
static void put_fixed(struct pn_buf *out, const char *text, size_t int_len, size_t n_decimals)
{
    pn_buf_append(out, text, int_len);
    pn_buf_putc(out, '.');
    if (n_decimals == 0) {
        pn_buf_putc(out, '0');
        return;
    }
    const char *decimals = text + strlen(text) - n_decimals;
    while (n_decimals > 1 && decimals[n_decimals - 1] == '0')
        n_decimals--;
    pn_buf_append(out, decimals, n_decimals);
}

void pn_json_fixed(struct pn_json *j, double v, int decimals)
{
    if (!isfinite(v)) {
        pn_json_null(j);
        return;
    }
    char text[352]; /* 309 digits before the point, at most 17 behind it */
    int places = PN_MAX(0, PN_MIN(decimals, 17));
    snprintf(text, sizeof(text), "%.*f", places, v);
    const char *from = text;
    if (text[0] == '-' && strspn(text, "-0.,") == strlen(text))
        from++; /* "-0.00" */
    separate(j);
    put_fixed(j->out, from, strspn(from, "-0123456789"), (size_t)places);
}

void pn_json_bool(struct pn_json *j, bool v)
{
    separate(j);
    pn_buf_puts(j->out, v ? "true" : "false");
}

void pn_json_null(struct pn_json *j)
{
    separate(j);
    pn_buf_puts(j->out, "null");
}

/* Control characters (C0, DEL, C1) and the two Unicode line separators, which JSON would allow but which
 * would break "one record is one line" or reach a terminal. */
static bool needs_code(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 || cp == 0x2029;
}

static void escape_code(struct pn_buf *out, uint32_t cp)
{
    static const char SHORT[] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };
    if (cp < sizeof(SHORT) && SHORT[cp]) {
        char pair[] = { '\\', SHORT[cp] };
        pn_buf_append(out, pair, sizeof(pair));
    } else {
        pn_buf_printf(out, "\\u%04x", cp);
    }
}

/* Bytes at the start of `s` that need no escape. */
static size_t plain_run(struct pn_str s)
{
    size_t i = 0;
    while (i < s.len && s.ptr[i] >= 0x20 && s.ptr[i] < 0x7f && s.ptr[i] != '"' && s.ptr[i] != '\\')
        i++;
    return i;
}

static size_t escape_one(struct pn_buf *out, struct pn_str s)
{
    uint32_t cp;
    size_t n = pn_utf8_next(s, &cp);
    if (n == 0) {
        pn_buf_puts(out, REPLACEMENT);
        return 1;
    }
    if (needs_code(cp)) {
        escape_code(out, cp);
    } else {
        if (cp == '"' || cp == '\\')
            pn_buf_putc(out, '\\');
        pn_buf_append(out, s.ptr, n);
    }
    return n;
}

void pn_json_escape(struct pn_buf *out, struct pn_str v)
{
    while (v.len > 0 && !out->failed) {
        size_t n = plain_run(v);
        pn_buf_append(out, v.ptr, n);
        if (n < v.len)
            n += escape_one(out, (struct pn_str){ v.ptr + n, v.len - n });
        v = (struct pn_str){ v.ptr + n, v.len - n };
    }
}

void pn_json_put_str(struct pn_json *j, const char *key, struct pn_str v)
{
    pn_json_key(j, key);
    pn_json_str(j, v);
}

void pn_json_put_cstr(struct pn_json *j, const char *key, const char *v)
{
    pn_json_key(j, key);
    pn_json_cstr(j, v);
}

void pn_json_put_i64(struct pn_json *j, const char *key, int64_t v)
{
    pn_json_key(j, key);
    pn_json_i64(j, v);
}

void pn_json_put_fixed(struct pn_json *j, const char *key, double v, int decimals)
{
    pn_json_key(j, key);
    pn_json_fixed(j, v, decimals);
}

void pn_json_put_bool(struct pn_json *j, const char *key, bool v)
{
    pn_json_key(j, key);
    pn_json_bool(j, v);
}
