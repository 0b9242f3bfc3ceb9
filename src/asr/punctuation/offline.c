/* offline.c - marks for a whole text (spec paraformer 6.2). Words are forgotten as they are written, so that
 * the length of the text costs no memory but that of the result. */
#include "asr/punctuation/rules.h"

struct writer {
    struct pn_buf *out, *marks; /* marks may be NULL */
};

static bool is_ascii(struct pn_str word)
{
    return word.len > 0 && (unsigned char)word.ptr[0] < 0x80;
}

/* Marks behind English are English ones, but for the pause, which English has none of. */
static struct pn_str mark_after(struct pn_str word, enum pn_mark mark)
{
    if (is_ascii(word) && mark == PN_MARK_COMMA)
        return PN_STR(",");
    if (is_ascii(word) && mark == PN_MARK_PERIOD)
        return PN_STR(".");
    if (is_ascii(word) && mark == PN_MARK_QUESTION)
        return PN_STR("?");
    return pn_mark_text(mark);
}

/* The first letter large; the rest as it is, unlike the reference, which makes "Tv" of "TV". */
static void write_capitalised(struct pn_buf *out, struct pn_str word)
{
    char c = word.ptr[0];
    pn_buf_putc(out, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
    pn_buf_append(out, word.ptr + 1, word.len - 1);
}

static void write_mark_byte(struct pn_buf *marks, enum pn_mark mark, size_t chars)
{
    while (chars-- > 1)
        pn_buf_putc(marks, PN_MARK_NONE);
    pn_buf_putc(marks, (char)mark);
}

/* The first n words of the list, which are done. */
static void write_words(const struct writer *w, const struct pn_mark_list *l, size_t n)
{
    enum pn_mark before = PN_MARK_PERIOD; /* a batch begins like a sentence */
    for (size_t i = 0; i < n; i++) {
        struct pn_str word = pn_mark_list_word(l, i);
        enum pn_mark mark = (enum pn_mark)l->mark[i];
        if (is_ascii(word) && (i == 0 || is_ascii(pn_mark_list_word(l, i - 1))))
            pn_buf_putc(w->out, ' ');
        if (before == PN_MARK_PERIOD || before == PN_MARK_QUESTION)
            write_capitalised(w->out, word);
        else
            pn_buf_str(w->out, word);
        pn_buf_str(w->out, mark_after(word, mark));
        if (w->marks)
            write_mark_byte(w->marks, mark, l->item[i].chars);
        before = mark;
    }
}

static bool ends_with(const struct pn_buf *b, struct pn_str end)
{
    return b->len >= end.len && pn_str_eq((struct pn_str){ b->ptr + b->len - end.len, end.len }, end);
}

/* A text ends with a full stop or a question mark. */
static void close_text(const struct writer *w)
{
    struct pn_buf *out = w->out;
    struct pn_str stop = PN_STR("。");
    if (ends_with(out, PN_STR("。")) || ends_with(out, PN_STR("？")) || ends_with(out, PN_STR(".")) ||
        ends_with(out, PN_STR("?")))
        return;
    if (ends_with(out, PN_STR("，")) || ends_with(out, PN_STR("、")))
        pn_buf_cut(out, out->len - PN_STR("，").len);
    else if ((unsigned char)out->ptr[out->len - 1] < 0x80)
        stop = PN_STR(".");
    if (ends_with(out, PN_STR(",")))
        pn_buf_cut(out, out->len - 1);
    pn_buf_str(out, stop);
    if (w->marks && w->marks->len > 0)
        w->marks->ptr[w->marks->len - 1] = PN_MARK_PERIOD;
}

static int write_text(const struct pn_mark_model *m, struct pn_str text, struct pn_mark_list *l,
                      const struct writer *w)
{
    struct pn_mark_words words;
    pn_mark_words_init(&words, &m->vocabulary, text);
    bool any = pn_mark_words_left(&words), more = any;
    while (more) {
        size_t done;
        int r = pn_mark_list_read(l, &words, PN_MARK_STEP);
        more = pn_mark_words_left(&words);
        if (r < 0 || (r = pn_mark_judge(m, l, 0, 0, !more, &done)) < 0)
            return r;
        write_words(w, l, done);
        pn_mark_list_drop(l, done);
    }
    if (any && !w->out->failed)
        close_text(w);
    return w->out->failed ? w->out->failed : w->marks ? w->marks->failed : 0;
}

int pn_mark_text_offline(const struct pn_mark_model *m, struct pn_str text, struct pn_buf *out,
                         struct pn_buf *ret_marks)
{
    const size_t before = out->len, marks_before = ret_marks ? ret_marks->len : 0;
    struct pn_mark_list l;
    pn_mark_list_init(&l, PN_MAX(text.len, 1));
    int r = write_text(m, text, &l, &(struct writer){ out, ret_marks });
    pn_mark_list_done(&l);
    if (r < 0) {
        pn_buf_cut(out, before);
        if (ret_marks)
            pn_buf_cut(ret_marks, marks_before);
    }
    return r;
}
