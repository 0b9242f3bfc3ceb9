/* rules.c - see rules.h: the list of words and where its sentences end. */
#include "asr/punctuation/rules.h"

#include <stdlib.h>
#include <string.h>

void pn_mark_list_init(struct pn_mark_list *l, size_t text_max)
{
    *l = (struct pn_mark_list){ 0 };
    pn_buf_init(&l->text, text_max);
}

void pn_mark_list_done(struct pn_mark_list *l)
{
    free(l->item);
    free(l->id);
    free(l->mark);
    pn_buf_done(&l->text);
    pn_mark_list_init(l, l->text.max);
}

struct pn_str pn_mark_list_word(const struct pn_mark_list *l, size_t i)
{
    return (struct pn_str){ l->text.ptr + l->item[i].at, l->item[i].len };
}

static bool grow_array(void *array, size_t n, size_t size)
{
    void **p = array, *grown = reallocarray(*p, n, size);
    if (grown)
        *p = grown;
    return grown != NULL;
}

static int reserve(struct pn_mark_list *l, size_t n)
{
    if (n <= l->cap)
        return 0;
    size_t cap = PN_MAX(n, 2 * l->cap);
    if (!grow_array(&l->item, cap, sizeof(*l->item)) || !grow_array(&l->id, cap, sizeof(*l->id)) ||
        !grow_array(&l->mark, cap, sizeof(*l->mark)))
        return -PN_ENOMEM;
    l->cap = cap;
    return 0;
}

int pn_mark_list_read(struct pn_mark_list *l, struct pn_mark_words *from, size_t n)
{
    struct pn_mark_token t;
    for (size_t i = 0; i < n && pn_mark_words_next(from, &t); i++) {
        int r = reserve(l, l->n + 1);
        if (r < 0)
            return r;
        l->item[l->n] = (struct pn_mark_item){ l->text.len, t.text.len, t.chars };
        l->id[l->n] = t.id;
        l->mark[l->n] = PN_MARK_NONE;
        pn_buf_str(&l->text, t.text);
        if (l->text.failed)
            return l->text.failed;
        l->n++;
    }
    return 0;
}

void pn_mark_list_drop(struct pn_mark_list *l, size_t n)
{
    if (n == 0)
        return;
    size_t bytes = n < l->n ? l->item[n].at : l->text.len, left = l->n - n;
    memmove(l->item, l->item + n, left * sizeof(*l->item));
    memmove(l->id, l->id + n, left * sizeof(*l->id));
    memmove(l->mark, l->mark + n, left * sizeof(*l->mark));
    memmove(l->text.ptr, l->text.ptr + bytes, l->text.len - bytes);
    pn_buf_cut(&l->text, l->text.len - bytes);
    for (size_t i = 0; i < left; i++)
        l->item[i].at -= bytes;
    l->n = left;
}

static bool ends_sentence(uint8_t mark)
{
    return mark == PN_MARK_PERIOD || mark == PN_MARK_QUESTION;
}

size_t pn_mark_sentence_end(const uint8_t *mark, size_t n)
{
    for (size_t i = n; i-- > 3;)
        if (ends_sentence(mark[i - 1]))
            return i;
    return 0;
}

static size_t last_comma(const uint8_t *mark, size_t n)
{
    for (size_t i = n; i-- > 3;)
        if (mark[i - 1] == PN_MARK_COMMA)
            return i;
    return 0;
}

/* How many of the n words are done when more follow. */
static size_t done_of(uint8_t *mark, size_t n)
{
    size_t done = pn_mark_sentence_end(mark, n);
    if (done == 0 && n > PN_MARK_PATIENCE && (done = last_comma(mark, n)) > 0)
        mark[done - 1] = PN_MARK_PERIOD;
    return done == 0 && n > PN_MARK_WORDS_MAX ? n : done;
}

int pn_mark_judge(const struct pn_mark_model *m, struct pn_mark_list *l, size_t from, size_t n_cached,
                  bool last, size_t *ret_done)
{
    size_t n = l->n - from;
    int r = n > 0 ? m->judge(m->ctx, l->id + from, n, n_cached, l->mark + from) : 0;
    if (r == 0)
        *ret_done = from + (last ? n : done_of(l->mark + from, n));
    return r;
}

struct pn_str pn_mark_text(enum pn_mark m)
{
    switch (m) {
    case PN_MARK_COMMA:
        return PN_STR("，");
    case PN_MARK_PERIOD:
        return PN_STR("。");
    case PN_MARK_QUESTION:
        return PN_STR("？");
    case PN_MARK_PAUSE:
        return PN_STR("、");
    case PN_MARK_NONE:
        break;
    }
    return PN_STR("");
}
