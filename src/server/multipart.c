/* multipart.c - see multipart.h. Loop thread only.
 *
 * Every state function looks at p[0..n) and consumes what it understands; what it leaves is held until more
 * comes. A body leaves at most a delimiter's length, so large pieces are handed on without being copied. */
#include "server/multipart.h"

#include <ctype.h>
#include <string.h>
#include <sys/types.h>

static bool is_boundary_char(unsigned char c)
{
    return isalnum(c) || (c && strchr("'()+_,-./:=? ", c));
}

/* The next `; name=value` of a header value. Unquotes; cuts to the buffers. False at the end or on nonsense.
 */
static bool next_parameter(struct pn_str *rest, char *name, size_t name_cap, char *value, size_t value_cap)
{
    const char *p = rest->ptr, *end = rest->ptr + rest->len;
    size_t n = 0, v = 0;
    while (p < end && (*p == ';' || *p == ' ' || *p == '\t'))
        p++;
    while (p < end && *p != '=' && *p != ';') {
        if (n + 1 < name_cap)
            name[n++] = (char)tolower((unsigned char)*p);
        p++;
    }
    if (p == end || *p != '=')
        return false;
    p++;
    bool quoted = p < end && *p == '"';
    p += quoted;
    while (p < end && (quoted ? *p != '"' : *p != ';')) {
        if (quoted && *p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\'))
            p++;
        if (v + 1 < value_cap)
            value[v++] = *p;
        p++;
    }
    if (quoted && p == end)
        return false;
    p += quoted;
    while (!quoted && v > 0 && (value[v - 1] == ' ' || value[v - 1] == '\t'))
        v--;
    while (n > 0 && name[n - 1] == ' ')
        n--;
    name[n] = value[v] = 0;
    *rest = (struct pn_str){ p, (size_t)(end - p) };
    return true;
}

/* Splits "type; parameters". */
static struct pn_str cut_type(struct pn_str *value)
{
    const char *semi = value->len ? memchr(value->ptr, ';', value->len) : NULL;
    struct pn_str type = { value->ptr, semi ? (size_t)(semi - value->ptr) : value->len };
    *value = (struct pn_str){ value->ptr + type.len, value->len - type.len };
    return pn_str_trim(type);
}

int pn_multipart_boundary(struct pn_str content_type, char ret[PN_BOUNDARY_MAX + 1])
{
    char name[16], value[PN_BOUNDARY_MAX + 2];
    struct pn_str rest = content_type;
    if (!pn_str_ieq(cut_type(&rest), PN_STR("multipart/form-data")))
        return -PN_EUNSUPPORTED;
    while (next_parameter(&rest, name, sizeof(name), value, sizeof(value))) {
        if (strcmp(name, "boundary") != 0)
            continue;
        size_t n = strlen(value);
        if (n == 0 || n > PN_BOUNDARY_MAX || value[n - 1] == ' ')
            return -PN_EFORMAT;
        for (size_t i = 0; i < n; i++)
            if (!is_boundary_char((unsigned char)value[i]))
                return -PN_EFORMAT;
        memcpy(ret, value, n + 1);
        return 0;
    }
    return -PN_EFORMAT;
}

void pn_multipart_init(struct pn_multipart *m, const char *boundary,
                       const struct pn_multipart_handler *handler)
{
    size_t n = strnlen(boundary, PN_BOUNDARY_MAX);
    *m = (struct pn_multipart){ .handler = *handler, .state = PN_MP_PREAMBLE, .delimiter_len = n + 4 };
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, n);
    memcpy(m->hold, "\r\n", 2); /* so that the first boundary looks like all others */
    m->held = 2;
}

static void copy_cut(char dst[PN_PART_NAME_MAX], const char *src, size_t n)
{
    n = PN_MIN(n, (size_t)PN_PART_NAME_MAX - 1);
    memcpy(dst, src, n);
    dst[n] = 0;
}

static int read_disposition(struct pn_part *part, struct pn_str value, struct pn_err *err)
{
    char name[32], text[PN_PART_NAME_MAX];
    if (!pn_str_ieq(cut_type(&value), PN_STR("form-data")))
        return pn_fail(err, PN_EFORMAT, "a part of the form is not form-data");
    while (next_parameter(&value, name, sizeof(name), text, sizeof(text))) {
        if (strcmp(name, "name") == 0)
            copy_cut(part->name, text, strlen(text));
        else if (strcmp(name, "filename") == 0)
            copy_cut(part->filename, text, strlen(text));
        part->has_filename |= strcmp(name, "filename") == 0 || strcmp(name, "filename*") == 0;
    }
    return 0;
}

static int read_header(struct pn_multipart *m, struct pn_str line, struct pn_err *err)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (!colon || ++m->n_headers > PN_PART_HEADERS)
        return pn_fail(err, PN_EFORMAT, "malformed header in a part of the form");
    struct pn_str name = { line.ptr, (size_t)(colon - line.ptr) };
    struct pn_str value = pn_str_trim((struct pn_str){ colon + 1, line.len - name.len - 1 });
    if (pn_str_ieq(name, PN_STR("content-disposition")))
        return read_disposition(&m->part, value, err);
    if (pn_str_ieq(name, PN_STR("content-type"))) {
        struct pn_str type = cut_type(&value);
        copy_cut(m->part.content_type, type.len ? type.ptr : "", type.len);
        for (char *c = m->part.content_type; *c; c++)
            *c = (char)tolower((unsigned char)*c);
    }
    return 0;
}

/* Behind a boundary: "--" ends the form, blanks and CR LF begin the next part. */
static ssize_t eat_tail(struct pn_multipart *m, const char *p, size_t n, struct pn_err *err)
{
    if (p[0] == ' ' || p[0] == '\t')
        return 1;
    if (n < 2)
        return 0;
    if (p[0] == '-' && p[1] == '-') {
        m->state = PN_MP_DONE;
        return 2;
    }
    if (p[0] != '\r' || p[1] != '\n')
        return pn_fail(err, PN_EFORMAT, "malformed boundary in the form");
    if (++m->n_parts > PN_MULTIPART_PARTS)
        return pn_fail(err, PN_ELIMIT, "too many parts in the form");
    m->state = PN_MP_HEADERS;
    m->part = (struct pn_part){ 0 };
    m->n_headers = 0;
    return 2;
}

static ssize_t eat_header(struct pn_multipart *m, const char *p, size_t n, struct pn_err *err)
{
    const char *end = memmem(p, n, "\r\n", 2);
    if (!end)
        return n >= PN_PART_LINE_MAX ? pn_fail(err, PN_EFORMAT, "header of a part is too long") : 0;
    size_t len = (size_t)(end - p);
    int r;
    if (len > 0) {
        r = read_header(m, (struct pn_str){ p, len }, err);
    } else {
        m->state = PN_MP_BODY;
        r = m->handler.part(m->handler.ctx, &m->part, err);
    }
    return r < 0 ? r : (ssize_t)len + 2;
}

/* Also the preamble: a body that nobody wants. */
static ssize_t eat_body(struct pn_multipart *m, const char *p, size_t n, struct pn_err *err)
{
    const char *end = memmem(p, n, m->delimiter, m->delimiter_len);
    size_t keep = PN_MIN(n, m->delimiter_len - 1);
    size_t len = end ? (size_t)(end - p) : n - keep;
    if (m->state == PN_MP_BODY && len > 0) {
        int r = m->handler.data(m->handler.ctx, p, len, err);
        if (r < 0)
            return r;
    }
    if (!end)
        return (ssize_t)len;
    m->state = PN_MP_TAIL;
    return (ssize_t)(len + m->delimiter_len);
}

static ssize_t eat(struct pn_multipart *m, const char *p, size_t n, struct pn_err *err)
{
    switch (m->state) {
    case PN_MP_PREAMBLE:
    case PN_MP_BODY:
        return eat_body(m, p, n, err);
    case PN_MP_TAIL:
        return eat_tail(m, p, n, err);
    case PN_MP_HEADERS:
        return eat_header(m, p, n, err);
    case PN_MP_DONE:
        return (ssize_t)n; /* the epilogue says nothing */
    }
    PN_UNREACHABLE();
}

/* Consumes as much of p[0..n) as makes sense now. */
static ssize_t eat_all(struct pn_multipart *m, const char *p, size_t n, struct pn_err *err)
{
    size_t used = 0;
    while (used < n) {
        ssize_t r = eat(m, p + used, n - used, err);
        if (r < 0)
            return r;
        if (r == 0)
            break;
        used += (size_t)r;
    }
    return (ssize_t)used;
}

int pn_multipart_feed(struct pn_multipart *m, const char *p, size_t n, struct pn_err *err)
{
    while (n > 0) {
        if (m->held == 0) {
            ssize_t used = eat_all(m, p, n, err);
            if (used < 0)
                return (int)used;
            m->held = n - (size_t)used; /* less than a line: eat_header refuses more */
            memcpy(m->hold, p + used, m->held);
            return 0;
        }
        size_t more = PN_MIN(n, sizeof(m->hold) - m->held);
        memcpy(m->hold + m->held, p, more);
        ssize_t used = eat_all(m, m->hold, m->held + more, err);
        if (used < 0)
            return (int)used;
        if ((size_t)used >= m->held) { /* the held bytes are understood: go on without the copy */
            p += (size_t)used - m->held;
            n -= (size_t)used - m->held;
            m->held = 0;
        } else {
            m->held += more - (size_t)used;
            memmove(m->hold, m->hold + used, m->held);
            p += more;
            n -= more;
        }
    }
    return 0;
}

int pn_multipart_end(const struct pn_multipart *m, struct pn_err *err)
{
    if (m->state != PN_MP_DONE)
        return pn_fail(err, PN_EFORMAT, "the form ends before its closing boundary");
    return 0;
}
