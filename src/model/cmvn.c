/* cmvn.c - see cmvn.h. Words, with brackets as words of their own: a tag says what the next brackets hold. */
#include "model/cmvn.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 4 << 20 };

enum part { PART_OTHER = -1, PART_SHIFT, PART_SCALE, PARTS };

static const struct {
    const char *tag;
    enum part part;
} TAGS[] = { { "<AddShift>", PART_SHIFT }, { "<Rescale>", PART_SCALE }, { "<Splice>", PART_OTHER } };

struct reading {
    struct pn_str text;
    size_t pos;
    const char *path;
    float *values[PARTS]; /* NULL: not seen yet */
    size_t n[PARTS];
    struct pn_err *err;
};

static int bad(struct reading *rd, const char *what)
{
    return pn_fail(rd->err, PN_EFORMAT, "%.150s: %s at byte %zu", rd->path, what, rd->pos);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_bracket(char c)
{
    return c == '[' || c == ']';
}

/* Empty at the end. */
static struct pn_str next_word(struct reading *rd)
{
    const struct pn_str t = rd->text;
    while (rd->pos < t.len && is_space(t.ptr[rd->pos]))
        rd->pos++;
    size_t from = rd->pos;
    if (from == t.len)
        return (struct pn_str){ 0 };
    if (is_bracket(t.ptr[from])) {
        rd->pos++;
        return (struct pn_str){ t.ptr + from, 1 };
    }
    while (rd->pos < t.len && !is_space(t.ptr[rd->pos]) && !is_bracket(t.ptr[rd->pos]))
        rd->pos++;
    return (struct pn_str){ t.ptr + from, rd->pos - from };
}

static int add_number(struct reading *rd, float *values, size_t *n, struct pn_str word)
{
    double v;
    if (pn_parse_f64(word, -1e30, 1e30, &v) < 0)
        return bad(rd, "something that is not a number");
    if (*n == PN_CMVN_MAX)
        return pn_fail(rd->err, PN_ELIMIT, "%.150s: more than %d numbers", rd->path, PN_CMVN_MAX);
    values[(*n)++] = (float)v;
    return 0;
}

/* From behind '[' to behind ']'. */
static int read_numbers(struct reading *rd, enum part part)
{
    if (rd->values[part])
        return bad(rd, "a second shift or scale");
    size_t n = 0;
    float *values = malloc(PN_CMVN_MAX * sizeof(*values));
    if (!values)
        return pn_fail(rd->err, PN_ENOMEM, "no memory to read %.150s", rd->path);
    rd->values[part] = values;
    for (;;) {
        struct pn_str word = next_word(rd);
        if (word.len == 0)
            return bad(rd, "the end inside brackets");
        if (pn_str_is(word, "]"))
            break;
        int r = add_number(rd, values, &n, word);
        if (r < 0)
            return r;
    }
    rd->n[part] = n;
    return 0;
}

static int read_parts(struct reading *rd)
{
    enum part part = PART_OTHER;
    for (;;) {
        struct pn_str word = next_word(rd);
        if (word.len == 0)
            return 0;
        for (size_t i = 0; i < PN_ARRAY_LEN(TAGS); i++)
            if (pn_str_is(word, TAGS[i].tag))
                part = TAGS[i].part;
        if (part != PART_OTHER && pn_str_is(word, "[")) {
            int r = read_numbers(rd, part);
            if (r < 0)
                return r;
            part = PART_OTHER;
        }
    }
}

static int check_parts(struct reading *rd)
{
    if (!rd->values[PART_SHIFT] || !rd->values[PART_SCALE])
        return pn_fail(rd->err, PN_EFORMAT, "%.150s: no %s with numbers in brackets", rd->path,
                       rd->values[PART_SHIFT] ? "<Rescale>" : "<AddShift>");
    if (rd->n[PART_SHIFT] != rd->n[PART_SCALE] || rd->n[PART_SHIFT] == 0)
        return pn_fail(rd->err, PN_EFORMAT, "%.150s: %zu shifts, but %zu scales", rd->path, rd->n[PART_SHIFT],
                       rd->n[PART_SCALE]);
    return 0;
}

int pn_cmvn_parse(struct pn_str text, const char *path, struct pn_cmvn *ret, struct pn_err *err)
{
    if (text.len > FILE_MAX)
        return pn_fail(err, PN_ELIMIT, "%.150s is larger than %d MB", path, FILE_MAX >> 20);
    struct reading rd = { .text = text, .path = path, .err = err };
    int r = read_parts(&rd);
    if (r == 0)
        r = check_parts(&rd);
    if (r < 0) {
        free(rd.values[PART_SHIFT]);
        free(rd.values[PART_SCALE]);
        return r;
    }
    *ret = (struct pn_cmvn){ rd.values[PART_SHIFT], rd.values[PART_SCALE], rd.n[PART_SHIFT] };
    return 0;
}

void pn_cmvn_done(struct pn_cmvn *c)
{
    free(c->shift);
    free(c->scale);
    *c = (struct pn_cmvn){ 0 };
}
