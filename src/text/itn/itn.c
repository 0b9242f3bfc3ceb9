/* itn.c - see itn.h: a text clause by clause. No state between calls. */
#include "text/itn/itn.h"

#include "base/error.h"
#include "text/itn/itn_impl.h"

#include <stdlib.h>

static int push(struct pn_itn_clause *c, const struct pn_itn_token *t)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 32;
        struct pn_itn_token *tokens = reallocarray(c->tokens, cap, sizeof(*tokens));
        if (!tokens)
            return -PN_ENOMEM;
        c->tokens = tokens;
        c->cap = cap;
    }
    c->tokens[c->n++] = *t;
    return 0;
}

static void finish_clause(struct pn_itn_clause *c, struct pn_itn_output *out)
{
    if (out->language->spaced)
        pn_itn_numbers_en(out->language, c);
    else
        pn_itn_numbers_zh(out->language, c);
    pn_itn_apply(c, out);
    c->n = 0;
}

/* On failure what was appended is taken back. */
static int normalise(const struct pn_itn_language *language, struct pn_str text, struct pn_buf *buf)
{
    struct pn_itn_lexer x = { .language = language, .rest = text };
    struct pn_itn_output out = { language, buf, buf->len, text.ptr, text.ptr + text.len };
    struct pn_itn_clause c = { 0 };
    struct pn_itn_token t;
    bool apart;
    int r = 0;
    while (r == 0 && pn_itn_next(&x, &t, &apart)) {
        if (apart)
            finish_clause(&c, &out);
        r = push(&c, &t);
    }
    if (r == 0) {
        finish_clause(&c, &out);
        pn_itn_copy(&out, out.end);
        r = buf->failed;
    }
    free(c.tokens);
    if (r < 0)
        buf->len = out.from;
    return r;
}

/* The rules of one language leave the words of the other alone, so it does not matter which go first. */
static int normalise_both(struct pn_str text, struct pn_buf *out)
{
    struct pn_buf chinese;
    pn_buf_init(&chinese, SIZE_MAX);
    int r = normalise(&pn_itn_zh, text, &chinese);
    if (r == 0)
        r = normalise(&pn_itn_en, (struct pn_str){ chinese.ptr, chinese.len }, out);
    pn_buf_done(&chinese);
    return r;
}

int pn_itn(struct pn_str text, const char *language, struct pn_buf *out)
{
    struct pn_str code = pn_str(language);
    if (text.len == 0 || out->failed)
        return out->failed;
    if (pn_str_is(code, "zh"))
        return normalise(&pn_itn_zh, text, out);
    if (pn_str_is(code, "en"))
        return normalise(&pn_itn_en, text, out);
    if (code.len == 0)
        return normalise_both(text, out);
    pn_buf_str(out, text);
    return out->failed;
}
