/* json_strings.c - see json_strings.h. */
#include "model/json_strings.h"

#include <string.h>

struct pn_json_strings pn_json_strings(struct pn_str text, const char *path, struct pn_err *err)
{
    return (struct pn_json_strings){ .text = text, .path = path, .err = err };
}

static int bad(struct pn_json_strings *j, const char *what)
{
    return pn_fail(j->err, PN_EFORMAT, "%.150s: %s at byte %zu", j->path, what, j->pos);
}

/* The byte at the cursor; -1 at the end. */
static int peek(const struct pn_json_strings *j)
{
    return j->pos < j->text.len ? (unsigned char)j->text.ptr[j->pos] : -1;
}

/* The same behind blanks. */
static int peek_word(struct pn_json_strings *j)
{
    while (peek(j) == ' ' || peek(j) == '\t' || peek(j) == '\n' || peek(j) == '\r')
        j->pos++;
    return peek(j);
}

static int hex_digit(int c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Four digits; -1 when they are none. */
static int32_t read_hex(struct pn_json_strings *j)
{
    int32_t v = 0;
    for (int i = 0; i < 4; i++, j->pos++) {
        int digit = hex_digit(peek(j));
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

/* Behind "\u". Halves of surrogate pairs come together; zero and lone halves are refused. */
static int32_t read_code_point(struct pn_json_strings *j)
{
    int32_t v = read_hex(j);
    if (v < 0xd800 || v > 0xdfff)
        return v > 0 ? v : -1;
    bool low_follows = v < 0xdc00 && j->text.len - j->pos >= 2 && memcmp(j->text.ptr + j->pos, "\\u", 2) == 0;
    if (!low_follows)
        return -1;
    j->pos += 2;
    int32_t low = read_hex(j);
    return low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00) : -1;
}

/* At most four bytes, of the six or twelve that stood there. */
static size_t put_utf8(int32_t v, char *to)
{
    size_t n = v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;
    static const unsigned char LEAD[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = n - 1; i > 0; i--, v >>= 6)
        to[i] = (char)(0x80 | (v & 0x3f));
    to[0] = (char)(LEAD[n] | v);
    return n;
}

/* Behind a backslash; the bytes written, 0 when it is no escape. */
static size_t read_escape(struct pn_json_strings *j, char *to)
{
    static const char FROM[] = "\"\\/bfnrt", INTO[] = "\"\\/\b\f\n\r\t";
    int c = peek(j);
    const char *at = c > 0 ? strchr(FROM, c) : NULL;
    if (c != 'u' && !at)
        return 0;
    j->pos++;
    if (at) {
        *to = INTO[at - FROM];
        return 1;
    }
    int32_t v = read_code_point(j);
    return v < 0 ? 0 : put_utf8(v, to);
}

/* From behind the first quote to behind the last one. */
static int read_string(struct pn_json_strings *j, char *to, size_t *ret_len)
{
    size_t len = 0;
    for (int c; (c = peek(j)) != '"';) {
        if (c < ' ')
            return bad(j, c < 0 ? "the end inside a text" : "a control character inside a text");
        const struct pn_str rest = { j->text.ptr + j->pos, j->text.len - j->pos };
        size_t n = c == '\\' ? (j->pos++, read_escape(j, to + len)) : pn_utf8_next(rest, NULL);
        if (n == 0)
            return bad(j, c == '\\' ? "a wrong escape" : "something that is not UTF-8");
        if (c != '\\') {
            memcpy(to + len, rest.ptr, n);
            j->pos += n;
        }
        len += n;
    }
    j->pos++;
    j->n++;
    *ret_len = len;
    return 1;
}

static int end(struct pn_json_strings *j)
{
    j->pos++;
    return peek_word(j) < 0 ? 0 : bad(j, "something behind the array");
}

int pn_json_next_string(struct pn_json_strings *j, char *to, size_t *ret_len)
{
    int c = peek_word(j);
    if (j->n == 0) {
        if (c != '[')
            return pn_fail(j->err, PN_EFORMAT, "%.150s: not a JSON array (byte %zu)", j->path, j->pos);
        j->pos++;
        if (peek_word(j) == ']')
            return end(j);
    } else if (c == ']') {
        return end(j);
    } else if (c != ',') {
        return bad(j, "neither ',' nor ']'");
    } else {
        j->pos++;
    }
    if (peek_word(j) != '"')
        return pn_fail(j->err, PN_EFORMAT, "%.150s: token %zu is not a text (byte %zu)", j->path, j->n,
                       j->pos);
    j->pos++;
    return read_string(j, to, ret_len);
}
