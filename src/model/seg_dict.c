/* seg_dict.c - see seg_dict.h. */
#include "model/seg_dict.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 64 << 20 };

static int no_memory(const char *path, struct pn_err *err)
{
    return pn_fail(err, PN_ENOMEM, "no memory for the words of %.150s", path);
}

/* Room for twice as many; the two lists stay equally long. */
static int grow(struct pn_seg_dict *d, size_t *cap)
{
    size_t more = *cap ? 2 * *cap : 1024;
    struct pn_str *word = reallocarray(d->word, more, sizeof(*word));
    if (word)
        d->word = word;
    struct pn_str *pieces = word ? reallocarray(d->pieces, more, sizeof(*pieces)) : NULL;
    if (!pieces)
        return -PN_ENOMEM;
    d->pieces = pieces;
    *cap = more;
    return 0;
}

static int add_line(struct pn_seg_dict *d, size_t *cap, struct pn_str line, const char *path,
                    struct pn_err *err)
{
    line = pn_str_trim(line);
    size_t len = 0;
    while (len < line.len && line.ptr[len] != ' ' && line.ptr[len] != '\t')
        len++;
    struct pn_str pieces = pn_str_trim((struct pn_str){ line.ptr + len, line.len - len });
    if (pieces.len == 0)
        return 0;
    if (d->n == PN_SEG_DICT_MAX)
        return pn_fail(err, PN_ELIMIT, "%.150s: more than %d words", path, PN_SEG_DICT_MAX);
    if (d->n == *cap && grow(d, cap) < 0)
        return no_memory(path, err);
    d->word[d->n] = (struct pn_str){ line.ptr, len };
    d->pieces[d->n++] = pieces;
    return 0;
}

int pn_seg_dict_parse(struct pn_str text, const char *path, struct pn_seg_dict *ret, struct pn_err *err)
{
    if (text.len > FILE_MAX)
        return pn_fail(err, PN_ELIMIT, "%.150s is larger than %d MB", path, FILE_MAX >> 20);
    struct pn_seg_dict d = { 0 };
    size_t cap = 0;
    int r = 0;
    for (size_t at = 0; r == 0 && at < text.len;) {
        const char *line = text.ptr + at, *end = memchr(line, '\n', text.len - at);
        size_t len = end ? (size_t)(end - line) : text.len - at;
        at += len + 1;
        r = add_line(&d, &cap, (struct pn_str){ line, len }, path, err);
    }
    if (r == 0 && pn_text_index_init(&d.index, d.word, d.n) < 0)
        r = no_memory(path, err);
    if (r < 0)
        pn_seg_dict_done(&d);
    else
        *ret = d;
    return r;
}

void pn_seg_dict_done(struct pn_seg_dict *d)
{
    pn_text_index_done(&d->index);
    free(d->word);
    free(d->pieces);
    *d = (struct pn_seg_dict){ 0 };
}

struct pn_str pn_seg_dict_find(const struct pn_seg_dict *d, struct pn_str word)
{
    int64_t i = pn_text_index_find(&d->index, d->word, word);
    return i < 0 ? (struct pn_str){ 0 } : d->pieces[i];
}
