/* rank_file.c - a vocabulary from the text of a .tiktoken file: lines of base64, a space and the rank, which
 * is the id. Ranks may come in any order and may have gaps. */
#include "base/base64.h"
#include "text/bpe_impl.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    size_t at, len; /* in the decoded bytes */
    bool given;
};

struct reader {
    struct entry *entry; /* [cap] */
    size_t cap, n;       /* n: highest rank + 1 */
    struct pn_buf bytes;
    size_t line;
};

static int reserve(struct reader *r, size_t n)
{
    if (n <= r->cap)
        return 0;
    size_t cap = PN_MAX(PN_MAX(n, 2 * r->cap), (size_t)1024);
    struct entry *grown = reallocarray(r->entry, cap, sizeof(*grown));
    if (!grown)
        return -PN_ENOMEM;
    memset(grown + r->cap, 0, (cap - r->cap) * sizeof(*grown));
    r->entry = grown;
    r->cap = cap;
    return 0;
}

/* A lone "=" is the empty token that ends the multilingual file. Decoded in place. */
static int decode(struct reader *r, struct pn_str text, struct entry *ret)
{
    ret->at = r->bytes.len;
    ret->len = 0;
    if (pn_str_is(text, "=") || text.len == 0)
        return 0;
    pn_buf_str(&r->bytes, text);
    if (r->bytes.failed)
        return r->bytes.failed;
    char *at = r->bytes.ptr + ret->at;
    int rc = pn_base64_decode((struct pn_str){ at, text.len }, (unsigned char *)at, &ret->len);
    pn_buf_cut(&r->bytes, ret->at + ret->len);
    return rc;
}

static int read_line(struct reader *r, struct pn_str line, struct pn_err *err)
{
    const char *space = memchr(line.ptr, ' ', line.len);
    size_t len = space ? (size_t)(space - line.ptr) : 0;
    struct pn_str rank_text = space ? (struct pn_str){ space + 1, line.len - len - 1 } : (struct pn_str){ 0 };
    int64_t rank;
    if (pn_parse_i64(rank_text, 0, PN_BPE_MAX_TOKENS - 1, &rank) < 0)
        return pn_fail(err, PN_EFORMAT, "rank file: line %zu has no rank", r->line);
    if (reserve(r, (size_t)rank + 1) < 0)
        return pn_fail(err, PN_ENOMEM, "rank file: out of memory");
    struct entry *e = &r->entry[rank];
    if (e->given)
        return pn_fail(err, PN_EFORMAT, "rank file: line %zu repeats rank %d", r->line, (int)rank);
    int rc = decode(r, (struct pn_str){ line.ptr, len }, e);
    if (rc == -PN_EFORMAT)
        return pn_fail(err, PN_EFORMAT, "rank file: line %zu is not base64", r->line);
    if (rc < 0)
        return pn_fail(err, (enum pn_error) - rc, "rank file: out of memory");
    e->given = true;
    r->n = PN_MAX(r->n, (size_t)rank + 1);
    return 0;
}

static int read_lines(struct reader *r, struct pn_str text, struct pn_err *err)
{
    int rc = 0;
    while (rc == 0 && text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len, skip = len + (end ? 1 : 0);
        struct pn_str line = pn_str_trim((struct pn_str){ text.ptr, len });
        r->line++;
        if (line.len > 0)
            rc = read_line(r, line, err);
        text = (struct pn_str){ text.ptr + skip, text.len - skip };
    }
    return rc;
}

static int make(const struct reader *r, struct pn_bpe **ret, struct pn_err *err)
{
    if (r->n == 0)
        return pn_fail(err, PN_EFORMAT, "rank file: it is empty");
    struct pn_str *tokens = calloc(r->n, sizeof(*tokens));
    if (!tokens)
        return pn_fail(err, PN_ENOMEM, "rank file: out of memory");
    for (size_t i = 0; i < r->n; i++)
        if (r->entry[i].len > 0)
            tokens[i] = (struct pn_str){ r->bytes.ptr + r->entry[i].at, r->entry[i].len };
    int rc = pn_bpe_new(tokens, r->n, ret, err);
    free(tokens);
    return rc;
}

int pn_bpe_parse(struct pn_str rank_file, struct pn_bpe **ret, struct pn_err *err)
{
    struct reader r = { 0 };
    pn_buf_init(&r.bytes, PN_BPE_MAX_BYTES);
    int rc = read_lines(&r, rank_file, err);
    if (rc == 0)
        rc = make(&r, ret, err);
    pn_buf_done(&r.bytes);
    free(r.entry);
    return rc;
}
