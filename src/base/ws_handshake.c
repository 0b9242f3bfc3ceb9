/* ws_handshake.c - see ws_handshake.h. */
#include "base/ws_handshake.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { MAX_LINES = 100, SHA1_LEN = 20 };

/* ---- the URL ---- */

static bool take(struct pn_str *s, const char *prefix)
{
    size_t n = strlen(prefix);
    if (s->len < n || !pn_str_ieq((struct pn_str){ s->ptr, n }, pn_str(prefix)))
        return false;
    *s = (struct pn_str){ s->ptr + n, s->len - n };
    return true;
}

/* Bytes of `s` before the first of `set`. */
static size_t span(struct pn_str s, const char *set)
{
    size_t n = 0;
    while (n < s.len && !strchr(set, s.ptr[n]))
        n++;
    return n;
}

/* Whether all are ASCII from `least` on. */
static bool printable(struct pn_str s, char least)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < least || s.ptr[i] > '~')
            return false;
    return true;
}

static bool host_fits(struct pn_str s)
{
    static const char MARKS[] = "-._", V6_MARKS[] = "[]:.%";
    const char *marks = s.len > 0 && s.ptr[0] == '[' ? V6_MARKS : MARKS;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!plain && !strchr(marks, c))
            return false;
    }
    return true;
}

/* "HOST", "HOST:PORT", "[V6]:PORT". */
static bool parse_authority(struct pn_str s, struct pn_ws_url *u)
{
    int64_t port = u->tls ? 443 : 80;
    size_t n = span(s, s.len > 0 && s.ptr[0] == '[' ? "]" : ":");
    bool bracketed = n < s.len && s.ptr[n] == ']';
    n += bracketed;
    u->host = (struct pn_str){ s.ptr, n };
    struct pn_str rest = { s.ptr + n, s.len - n };
    if (n == 0 || (s.ptr[0] == '[') != bracketed || (bracketed && n < 4) || !host_fits(u->host))
        return false;
    if (rest.len > 0 && (rest.ptr[0] != ':' ||
                         pn_parse_i64((struct pn_str){ rest.ptr + 1, rest.len - 1 }, 1, 65535, &port) < 0))
        return false;
    u->port = (int)port;
    return true;
}

int pn_ws_url_parse(struct pn_str url, struct pn_ws_url *ret, struct pn_err *err)
{
    struct pn_ws_url u = { 0 };
    struct pn_str s = url;
    if (url.len > PN_WS_URL_MAX || !printable(url, '!'))
        return pn_fail(err, PN_EINVAL, "a URL has at most %d characters of ASCII and no blanks",
                       PN_WS_URL_MAX);
    u.tls = take(&s, "wss://");
    if (!u.tls && !take(&s, "ws://"))
        return pn_fail(err, PN_EINVAL, "'%.*s' does not begin with ws:// or wss://",
                       (int)PN_MIN(url.len, 100), url.ptr);
    size_t n = span(s, "/?#");
    struct pn_str authority = { s.ptr, n };
    u.path = (struct pn_str){ s.ptr + n, s.len - n };
    if (memchr(authority.ptr, '@', n))
        return pn_fail(err, PN_EINVAL, "a WebSocket URL names no user");
    if (memchr(u.path.ptr, '#', u.path.len))
        return pn_fail(err, PN_EINVAL, "a WebSocket URL has no fragment (#)");
    if (!parse_authority(authority, &u))
        return pn_fail(err, PN_EINVAL, "'%.*s' is no HOST:PORT", (int)PN_MIN(n, 100), authority.ptr);
    *ret = u;
    return 0;
}

/* ---- the request ---- */

bool pn_ws_accept_of(struct pn_str key, char accept[PN_WS_ACCEPT_LEN + 1])
{
    char text[128];
    unsigned char digest[EVP_MAX_MD_SIZE];
    int n = snprintf(text, sizeof(text), "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                     (int)PN_MIN(key.len, PN_WS_KEY_LEN), key.ptr);
    if (EVP_Digest(text, (size_t)n, digest, NULL, EVP_sha1(), NULL) != 1)
        return false;
    EVP_EncodeBlock((unsigned char *)accept, digest, SHA1_LEN);
    return true;
}

void pn_ws_request_write(const struct pn_ws_url *url, const char *key, const char *protocol,
                         struct pn_buf *out)
{
    bool rooted = url->path.len > 0 && url->path.ptr[0] == '/';
    pn_buf_puts(out, rooted ? "GET " : "GET /");
    pn_buf_str(out, url->path);
    pn_buf_puts(out, " HTTP/1.1\r\nHost: ");
    pn_buf_str(out, url->host);
    if (url->port != (url->tls ? 443 : 80))
        pn_buf_printf(out, ":%d", url->port);
    pn_buf_printf(out,
                  "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                  "Sec-WebSocket-Version: 13\r\n",
                  key);
    if (protocol[0])
        pn_buf_printf(out, "Sec-WebSocket-Protocol: %s\r\n", protocol);
    pn_buf_puts(out, "User-Agent: pinna/" PINNA_VERSION "\r\n\r\n");
}

/* ---- the answer ---- */

struct answer {
    bool upgrade, connection, accept, protocol;
};

/* Cuts the next line off, without its line break; the head is known to end with one. */
static struct pn_str next_line(struct pn_str *s)
{
    const char *nl = memchr(s->ptr, '\n', s->len);
    size_t n = nl ? (size_t)(nl - s->ptr) : s->len;
    struct pn_str line = { s->ptr, n > 0 && s->ptr[n - 1] == '\r' ? n - 1 : n };
    n += nl != NULL;
    *s = (struct pn_str){ s->ptr + n, s->len - n };
    return line;
}

/* 101 of "HTTP/1.1 101 Switching Protocols"; -PN_EFORMAT. */
static int parse_status(struct pn_str line)
{
    int64_t status;
    if (!take(&line, "HTTP/1.1 ") && !take(&line, "HTTP/1.0 "))
        return -PN_EFORMAT;
    if (line.len < 3 || (line.len > 3 && line.ptr[3] != ' ') ||
        pn_parse_i64((struct pn_str){ line.ptr, 3 }, 100, 599, &status) < 0)
        return -PN_EFORMAT;
    return (int)status;
}

/* Whether one of the comma-separated words is `word`, in any case. */
static bool lists(struct pn_str list, const char *word)
{
    while (list.len > 0) {
        size_t n = span(list, ",");
        if (pn_str_ieq(pn_str_trim((struct pn_str){ list.ptr, n }), pn_str(word)))
            return true;
        n += n < list.len;
        list = (struct pn_str){ list.ptr + n, list.len - n };
    }
    return false;
}

static int take_header(struct pn_str line, const char *accept, const char *protocol, struct answer *a,
                       struct pn_err *err)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    size_t n = colon ? (size_t)(colon - line.ptr) : 0;
    if (n == 0)
        return pn_fail(err, PN_EFORMAT, "the server's answer has a line that is no header");
    struct pn_str name = { line.ptr, n };
    struct pn_str value = pn_str_trim((struct pn_str){ line.ptr + n + 1, line.len - n - 1 });
    if (pn_str_ieq(name, PN_STR("Upgrade"))) {
        a->upgrade = pn_str_ieq(value, PN_STR("websocket"));
    } else if (pn_str_ieq(name, PN_STR("Connection"))) {
        a->connection |= lists(value, "upgrade");
    } else if (pn_str_ieq(name, PN_STR("Sec-WebSocket-Accept"))) {
        if (a->accept || !pn_str_is(value, accept))
            return pn_fail(err, PN_EFORMAT, "the server's Sec-WebSocket-Accept is not for our key");
        a->accept = true;
    } else if (pn_str_ieq(name, PN_STR("Sec-WebSocket-Protocol"))) {
        if (a->protocol || !protocol[0] || !pn_str_is(value, protocol))
            return pn_fail(err, PN_EFORMAT, "the server chose a protocol that was not offered");
        a->protocol = true;
    } else if (pn_str_ieq(name, PN_STR("Sec-WebSocket-Extensions"))) {
        return pn_fail(err, PN_EFORMAT, "the server chose an extension that was not offered");
    }
    return 0;
}

static int check_head(struct pn_str head, const char *accept, const char *protocol, int *ret_status,
                      struct pn_err *err)
{
    struct pn_str line = next_line(&head);
    struct answer a = { 0 };
    int n_lines = 0, r = 0, status = parse_status(line);
    if (status < 0)
        return pn_fail(err, PN_EFORMAT, "the server does not speak HTTP");
    if (status != 101) {
        *ret_status = status;
        struct pn_str told = { line.ptr + 9, PN_MIN(line.len - 9, 80) };
        return pn_fail(err, PN_EUNSUPPORTED, "the server answers %.*s",
                       printable(told, ' ') ? (int)told.len : 3, told.ptr);
    }
    while (r == 0 && (line = next_line(&head)).len > 0)
        r = ++n_lines > MAX_LINES ? pn_fail(err, PN_ELIMIT, "the server's answer is too long")
                                  : take_header(line, accept, protocol, &a, err);
    if (r == 0 && (!a.upgrade || !a.connection || !a.accept || (protocol[0] && !a.protocol)))
        return pn_fail(err, PN_EFORMAT, "the server's answer to the handshake lacks a header");
    *ret_status = r == 0 ? status : *ret_status;
    return r;
}

int pn_ws_answer_check(struct pn_str bytes, const char *accept, const char *protocol, int *ret_status,
                       struct pn_err *err)
{
    size_t n = PN_MIN(bytes.len, (size_t)PN_WS_HEAD_MAX);
    const char *end = n > 0 ? memmem(bytes.ptr, n, "\r\n\r\n", 4) : NULL;
    if (!end)
        return bytes.len < PN_WS_HEAD_MAX ? 0 : pn_fail(err, PN_ELIMIT, "the server's answer is too long");
    size_t len = (size_t)(end - bytes.ptr) + 4;
    int r = check_head((struct pn_str){ bytes.ptr, len }, accept, protocol, ret_status, err);
    return r < 0 ? r : (int)len;
}
