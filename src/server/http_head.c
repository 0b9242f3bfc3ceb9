/* http_head.c - see http_head.h. Runs on the loop thread; no state, no allocation. */
#include "server/http_head.h"

#include <string.h>

#define MAX_METHOD_BYTES 32

/* What the header lines have said so far. */
struct rules {
    unsigned n_headers, n_length, n_coding, n_host;
    int64_t content_length;
    struct pn_head bad; /* the first violation; status 0 while there is none */
};

static struct pn_head refuse(int status, const char *why)
{
    return (struct pn_head){ .status = status, .why = why };
}

static const struct pn_head PASS = { .status = 200, .why = "" };
static const struct pn_head MORE = { .status = 0, .why = "" };

/* RFC 9110 5.6.2: tchar. */
static bool is_token_char(unsigned char c)
{
    if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
        return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_token(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char((unsigned char)s.ptr[i]))
            return false;
    return s.len > 0;
}

/* Field values: visible characters, blanks, tabs and bytes above 0x7f. */
static bool is_field_value(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_digits(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

static bool has_blank(struct pn_str s)
{
    return s.len > 0 && (memchr(s.ptr, ' ', s.len) || memchr(s.ptr, '\t', s.len));
}

static void violate(struct rules *r, int status, const char *why)
{
    if (r->bad.status == 0)
        r->bad = refuse(status, why);
}

static void add_length(struct rules *r, struct pn_str value)
{
    if (++r->n_length > 1)
        violate(r, 400, "more than one Content-Length");
    else if (!is_digits(value))
        violate(r, 400, "Content-Length is not a number");
    else if (value.len > 18 || pn_parse_i64(value, 0, INT64_MAX, &r->content_length) < 0)
        violate(r, 413, "Content-Length is too large");
}

static void add_coding(struct rules *r, struct pn_str value)
{
    if (++r->n_coding > 1)
        violate(r, 400, "more than one Transfer-Encoding");
    else if (!pn_str_ieq(value, PN_STR("chunked")))
        violate(r, 400, "unknown Transfer-Encoding; only chunked is understood");
}

static void add_header(struct rules *r, struct pn_str name, struct pn_str value)
{
    if (++r->n_headers > PN_HEAD_MAX_HEADERS)
        violate(r, 431, "too many headers");
    if (!is_token(name))
        violate(r, 400, "malformed header name");
    else if (!is_field_value(value))
        violate(r, 400, "control character in a header");
    else if (pn_str_ieq(name, PN_STR("content-length")))
        add_length(r, value);
    else if (pn_str_ieq(name, PN_STR("transfer-encoding")))
        add_coding(r, value);
    else if (pn_str_ieq(name, PN_STR("host")) && (++r->n_host > 1 || has_blank(value)))
        violate(r, 400, "more than one Host, or a blank in it");
}

static struct pn_head end_of_head(const struct rules *r, bool http11, size_t len)
{
    if (r->bad.status)
        return r->bad;
    if (r->n_length && r->n_coding)
        return refuse(400, "both Content-Length and Transfer-Encoding");
    if (r->n_coding && !http11)
        return refuse(400, "Transfer-Encoding in HTTP/1.0");
    if (http11 && r->n_host == 0)
        return refuse(400, "no Host header");
    return (struct pn_head){ 200, "", len, r->content_length, r->n_coding > 0 };
}

/* "HTTP/1.1" or "HTTP/1.0"; another digit pair is 505, anything else 400. */
static struct pn_head check_version(struct pn_str v, bool *ret_http11)
{
    if (v.len != 8 || memcmp(v.ptr, "HTTP/", 5) != 0 || v.ptr[6] != '.' ||
        !is_digits((struct pn_str){ v.ptr + 5, 1 }) || !is_digits((struct pn_str){ v.ptr + 7, 1 }))
        return refuse(400, "malformed request line");
    if (v.ptr[5] != '1' || v.ptr[7] > '1')
        return refuse(505, "HTTP version is not supported; use HTTP/1.1");
    *ret_http11 = v.ptr[7] == '1';
    return PASS;
}

/* METHOD SP target SP version, single blanks, no control characters. */
static struct pn_head check_request_line(struct pn_str line, bool *ret_http11)
{
    const char *sp1 = memchr(line.ptr, ' ', line.len);
    const char *sp2 = memrchr(line.ptr, ' ', line.len);
    if (!sp1 || sp1 == sp2)
        return refuse(400, "malformed request line");
    struct pn_str method = { line.ptr, (size_t)(sp1 - line.ptr) };
    struct pn_str target = { sp1 + 1, (size_t)(sp2 - sp1 - 1) };
    struct pn_str version = { sp2 + 1, (size_t)(line.ptr + line.len - sp2 - 1) };
    if (!is_token(method) || method.len > MAX_METHOD_BYTES)
        return refuse(400, "malformed method");
    if (target.len == 0 || has_blank(target) || !is_field_value(target))
        return refuse(400, "malformed request target");
    if (memmem(target.ptr, target.len, "%00", 3))
        return refuse(400, "NUL in the request target");
    if (target.ptr[0] != '/' && !pn_str_is(target, "*"))
        return refuse(400, "request target must be a path");
    return check_version(version, ret_http11);
}

static void check_header_line(struct rules *r, struct pn_str line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t') {
        violate(r, 400, "folded header line");
    } else if (!colon) {
        violate(r, 400, "header line without a colon");
    } else {
        struct pn_str name = { line.ptr, (size_t)(colon - line.ptr) };
        struct pn_str value = { colon + 1, (size_t)(line.ptr + line.len - colon - 1) };
        while (value.len && (value.ptr[0] == ' ' || value.ptr[0] == '\t'))
            value = (struct pn_str){ value.ptr + 1, value.len - 1 };
        while (value.len && (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t'))
            value.len--;
        add_header(r, name, value);
    }
}

/* Cuts the next line off *rest. 1: a line; 0: no line end yet; -1: a LF without its CR. */
static int next_line(struct pn_str *rest, struct pn_str *ret)
{
    const char *lf = memchr(rest->ptr, '\n', rest->len);
    if (!lf)
        return 0;
    if (lf == rest->ptr || lf[-1] != '\r')
        return -1;
    *ret = (struct pn_str){ rest->ptr, (size_t)(lf - rest->ptr - 1) };
    *rest = (struct pn_str){ lf + 1, (size_t)(rest->ptr + rest->len - lf - 1) };
    return 1;
}

struct pn_head pn_http_head_check(const char *p, size_t n)
{
    struct pn_str rest = { p, PN_MIN(n, (size_t)PN_HEAD_MAX_BYTES) }, line;
    struct rules rules = { .content_length = -1 };
    struct pn_head v;
    bool http11 = false, first = true;
    int r;

    while ((r = next_line(&rest, &line)) == 1) {
        if (first) {
            v = check_request_line(line, &http11);
            if (v.status != 200)
                return v;
            first = false;
        } else if (line.len == 0) {
            return end_of_head(&rules, http11, (size_t)(rest.ptr - p));
        } else {
            check_header_line(&rules, line);
            if (rules.bad.status)
                return rules.bad;
        }
    }
    if (r < 0)
        return refuse(400, "line ends must be CR LF");
    return n >= PN_HEAD_MAX_BYTES ? refuse(431, "request head is too large") : MORE;
}
