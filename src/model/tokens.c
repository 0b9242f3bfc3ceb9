/* tokens.c - see tokens.h. */
#include "model/tokens.h"

#include "model/json_strings.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 64 << 20 };

struct making {
    struct pn_tokens tokens;
    size_t cap, used; /* of list, of bytes */
    const char *path;
    struct pn_err *err;
};

static int no_memory(struct making *m)
{
    return pn_fail(m->err, PN_ENOMEM, "no memory for the tokens of %.150s", m->path);
}

/* No token list is longer than the text that it comes from. */
static int begin(struct making *m, struct pn_str text)
{
    if (text.len > FILE_MAX)
        return pn_fail(m->err, PN_ELIMIT, "%.150s is larger than %d MB", m->path, FILE_MAX >> 20);
    m->tokens.bytes = malloc(text.len + 1);
    return m->tokens.bytes ? 0 : no_memory(m);
}

/* Where the next token's bytes go. */
static char *next_bytes(struct making *m)
{
    return m->tokens.bytes + m->used;
}

/* The token of `len` bytes that lies there. */
static int add(struct making *m, size_t len)
{
    if (m->tokens.n == PN_TOKENS_MAX)
        return pn_fail(m->err, PN_ELIMIT, "%.150s: more than %d tokens", m->path, PN_TOKENS_MAX);
    if (m->tokens.n == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 1024;
        struct pn_str *larger = reallocarray(m->tokens.list, cap, sizeof(*larger));
        if (!larger)
            return no_memory(m);
        m->tokens.list = larger;
        m->cap = cap;
    }
    m->tokens.list[m->tokens.n++] = (struct pn_str){ next_bytes(m), len };
    m->used += len;
    return 0;
}

static int finish(struct making *m, int r, struct pn_tokens *ret)
{
    if (r == 0 && m->tokens.n == 0)
        r = pn_fail(m->err, PN_EFORMAT, "%.150s: no token in it", m->path);
    if (r == 0 && pn_text_index_init(&m->tokens.index, m->tokens.list, m->tokens.n) < 0)
        r = no_memory(m);
    if (r < 0)
        pn_tokens_done(&m->tokens);
    else
        *ret = m->tokens;
    return r;
}

static int add_array(struct making *m, struct pn_str text)
{
    struct pn_json_strings j = pn_json_strings(text, m->path, m->err);
    size_t len = 0;
    int r;
    while ((r = pn_json_next_string(&j, next_bytes(m), &len)) > 0)
        if ((r = add(m, len)) < 0)
            return r;
    return r;
}

int pn_tokens_from_json(struct pn_str text, const char *path, struct pn_tokens *ret, struct pn_err *err)
{
    struct making m = { .path = path, .err = err };
    int r = begin(&m, text);
    if (r == 0)
        r = add_array(&m, text);
    return finish(&m, r, ret);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

int pn_tokens_from_lines(struct pn_str text, const char *path, struct pn_tokens *ret, struct pn_err *err)
{
    struct making m = { .path = path, .err = err };
    int r = begin(&m, text);
    for (size_t at = 0; r == 0 && at < text.len;) {
        const char *line = text.ptr + at, *end = memchr(line, '\n', text.len - at);
        size_t len = end ? (size_t)(end - line) : text.len - at;
        at += len + 1;
        while (len > 0 && is_blank(line[len - 1]))
            len--;
        if (len > 0)
            memcpy(next_bytes(&m), line, len);
        r = add(&m, len);
    }
    return finish(&m, r, ret);
}

void pn_tokens_done(struct pn_tokens *t)
{
    pn_text_index_done(&t->index);
    free(t->list);
    free(t->bytes);
    *t = (struct pn_tokens){ 0 };
}
