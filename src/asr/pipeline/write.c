/* write.c - how the words are written: punctuation, then numbers and dates as digits.
 *
 * Punctuation is found for the words of several segments together, since a pause need not end a sentence: the
 * words in a row, without marks, of the utterances at the head of the list; a step takes at most WORDS. What
 * comes behind the last sentence that ended there waits for the words that follow, as the model itself does
 * it with long texts (spec paraformer 6.2). Of a live stream every utterance is a sentence. */
#include "asr/pipeline/flow.h"
#include "text/itn/itn.h"
#include "text/utf8.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS = 40 /* some 50 ms of the largest model */ };
#define TEXT_MAX ((size_t)64 << 20)

/* The next word as the model counts them: a run of ASCII, or one other character. */
static struct pn_str next_word(struct pn_str *rest)
{
    struct pn_str s = *rest;
    uint32_t cp = 0;
    size_t n;
    while ((n = pn_utf8_next(s, &cp)) > 0 && pn_utf8_is_space(cp))
        s = (struct pn_str){ s.ptr + n, s.len - n };
    size_t len = s.len && n == 0 ? 1 : n;
    if (len == 1 && (unsigned char)s.ptr[0] < 0x80)
        while (len < s.len && (unsigned char)s.ptr[len] < 0x80 &&
               !pn_utf8_is_space((unsigned char)s.ptr[len]))
            len++;
    *rest = (struct pn_str){ s.ptr + len, s.len - len };
    return (struct pn_str){ s.ptr, len };
}

static bool is_ascii(struct pn_str word)
{
    return (unsigned char)word.ptr[0] < 0x80;
}

static size_t count_words(struct pn_str text)
{
    size_t n = 0;
    while (next_word(&text).len)
        n++;
    return n;
}

/* ---- which words ---- */

static bool wants_marks(const struct pn_pipeline_stream *s, const struct pn_utterance *u)
{
    return s->plan.punctuation && u->bare;
}

int pn_write_begin(struct pn_pipeline_stream *s, struct pn_utterance *u)
{
    size_t n = u->heard->n_segments;
    if (n == 0 || (!wants_marks(s, u) && !s->plan.itn)) {
        u->state = PN_UTTERANCE_WRITTEN;
        return 0;
    }
    u->lines = calloc(n, sizeof(*u->lines));
    for (size_t i = 0; u->lines && i < n; i++) {
        struct pn_line *line = &u->lines[i];
        line->raw = pn_str(u->heard->segments[i].text);
        line->n_words = wants_marks(s, u) ? count_words(line->raw) : 0;
        line->marks = malloc(line->n_words + 1);
        if (!line->marks)
            return -PN_ENOMEM;
    }
    s->write_us = pn_now_us();
    return u->lines ? 0 : -PN_ENOMEM;
}

static size_t words_left(const struct pn_utterance *u)
{
    size_t n = 0;
    for (size_t i = 0; u->lines && i < u->heard->n_segments; i++)
        n += u->lines[i].n_words - u->lines[i].n_done;
    return n;
}

/* The utterance after u whose words go together with u's. */
static struct pn_utterance *following(const struct pn_pipeline_stream *s, const struct pn_utterance *u)
{
    bool alone = s->want.live && words_left(u) > 0;
    return u->next && !alone && u->next->state >= PN_UTTERANCE_HEARD ? u->next : NULL;
}

/* Words that want marks and could get them now; *ret_last: nothing that could change them follows. */
static size_t words_ready(const struct pn_pipeline_stream *s, bool *ret_last)
{
    size_t n = 0;
    const struct pn_utterance *last = NULL;
    for (const struct pn_utterance *u = s->first; u; u = following(s, u)) {
        n += words_left(u);
        last = u;
    }
    *ret_last = s->want.live || (s->heard_all && last == s->last);
    return n;
}

bool pn_write_ready(const struct pn_pipeline_stream *s)
{
    bool last;
    if (!s->first || s->first->state != PN_UTTERANCE_HEARD)
        return false;
    return words_ready(s, &last) >= WORDS || last || words_left(s->first) == 0;
}

/* ---- marks ---- */

/* One of the words at hand, which is the `at`th of its line. */
struct place {
    struct pn_line *line;
    size_t at;
};

/* Up to WORDS words that want marks; their text, with blanks where words would run into each other. */
static size_t gather(struct pn_pipeline_stream *s, struct place *places, struct pn_buf *text)
{
    size_t n = 0;
    bool ascii = false;
    for (struct pn_utterance *u = s->first; u; u = following(s, u))
        for (size_t i = 0; u->lines && i < u->heard->n_segments; i++) {
            struct pn_line *line = &u->lines[i];
            struct pn_str rest = line->raw;
            for (size_t k = 0; k < line->n_words && n < WORDS; k++) {
                struct pn_str word = next_word(&rest);
                if (k < line->n_done)
                    continue;
                places[n++] = (struct place){ line, k };
                if (ascii && is_ascii(word))
                    pn_buf_putc(text, ' ');
                pn_buf_str(text, word);
                ascii = is_ascii(word);
            }
        }
    return n;
}

static bool ends_sentence(unsigned char mark)
{
    return mark == PN_MARK_PERIOD || mark == PN_MARK_QUESTION;
}

/* How many of the n words are decided if others follow: up to the last sentence that ended well before the
 * end, or the last comma; else all but the last, whose mark only says that the text ended. */
static size_t decided(const unsigned char *marks, size_t n)
{
    size_t comma = 0;
    for (size_t i = n - 1; i-- > 2;) {
        if (ends_sentence(marks[i]))
            return i + 1;
        if (!comma && marks[i] == PN_MARK_COMMA)
            comma = i + 1;
    }
    return comma ? comma : n - 1;
}

/* Gives the words at hand their marks: all, if `last`, else those that are decided. A model that counts words
 * otherwise gives none. */
static void give_marks(const struct place *places, size_t n, struct pn_str marks, bool last)
{
    bool known = marks.len == n;
    size_t n_decided = last || !known ? n : decided((const unsigned char *)marks.ptr, n);
    for (size_t i = 0; i < n_decided; i++) {
        unsigned char mark = known ? (unsigned char)marks.ptr[i] : PN_MARK_NONE;
        if (last && known && i == n - 1 && !ends_sentence(mark))
            mark = PN_MARK_PERIOD;
        places[i].line->marks[places[i].at] = mark;
        places[i].line->n_done++;
    }
}

static int find_marks(struct pn_pipeline_stream *s)
{
    struct place places[WORDS];
    struct pn_buf text, written, marks;
    bool last;
    size_t n_ready = words_ready(s, &last);
    pn_buf_init(&text, TEXT_MAX);
    pn_buf_init(&written, TEXT_MAX);
    pn_buf_init(&marks, TEXT_MAX);
    size_t n = gather(s, places, &text);
    int r = text.failed;
    if (r == 0)
        r = pn_punctuate(s->pipeline->parts.punctuation, (struct pn_str){ text.ptr, text.len }, &written,
                         &marks);
    if (r == 0)
        give_marks(places, n, (struct pn_str){ marks.ptr, marks.len }, last && n == n_ready);
    pn_buf_done(&text);
    pn_buf_done(&written);
    pn_buf_done(&marks);
    return r;
}

/* ---- texts ---- */

static void put_mark(struct pn_buf *out, unsigned char mark, bool ascii)
{
    static const char *const WIDE[] = { "", "", "，", "。", "？", "、" }, *const ASCII[] = { "",  "",  ",",
                                                                                             ".", "?", "、" };
    if (mark < PN_ARRAY_LEN(WIDE))
        pn_buf_puts(out, ascii ? ASCII[mark] : WIDE[mark]);
}

static void put_word(struct pn_buf *out, struct pn_str word, bool capital)
{
    char first = word.ptr[0];
    if (capital && first >= 'a' && first <= 'z') {
        pn_buf_putc(out, (char)(first - 'a' + 'A'));
        word = (struct pn_str){ word.ptr + 1, word.len - 1 };
    }
    pn_buf_str(out, word);
}

/* The line with its marks; blanks stay, but behind a wide mark there is none. */
static void put_marked(struct pn_pipeline_stream *s, const struct pn_line *line, struct pn_buf *out)
{
    struct pn_str rest = line->raw;
    bool wide = false;
    for (size_t i = 0; i < line->n_words; i++) {
        const char *before = rest.ptr;
        struct pn_str word = next_word(&rest);
        if (!wide)
            pn_buf_append(out, before, (size_t)(word.ptr - before));
        put_word(out, word, s->sentence_begins);
        put_mark(out, line->marks[i], is_ascii(word));
        wide = line->marks[i] > PN_MARK_NONE && !is_ascii(word);
        s->sentence_begins = ends_sentence(line->marks[i]);
    }
}

static int write_line(struct pn_pipeline_stream *s, const struct pn_utterance *u, struct pn_line *line)
{
    struct pn_buf marked, out;
    size_t len;
    int r = 0;
    pn_buf_init(&marked, TEXT_MAX);
    pn_buf_init(&out, TEXT_MAX);
    if (line->n_words)
        put_marked(s, line, &marked);
    else
        pn_buf_str(&marked, line->raw);
    struct pn_str text = { marked.ptr, marked.len };
    if (s->plan.itn)
        r = pn_itn(text, u->heard->language, &out);
    else
        pn_buf_str(&out, text);
    if (r == 0)
        r = marked.failed ? marked.failed : pn_buf_take(&out, &line->text, &len);
    pn_buf_done(&marked);
    pn_buf_done(&out);
    return r;
}

/* Utterances at the head of the list all of whose words have their marks. */
static int write_texts(struct pn_pipeline_stream *s)
{
    int r = 0;
    for (struct pn_utterance *u = s->first; u && u->state >= PN_UTTERANCE_HEARD && words_left(u) == 0;
         u = u->next) {
        for (size_t i = 0; u->state == PN_UTTERANCE_HEARD && i < u->heard->n_segments && r == 0; i++)
            r = write_line(s, u, &u->lines[i]);
        if (r < 0)
            return r;
        u->state = PN_UTTERANCE_WRITTEN;
    }
    return r;
}

int pn_write_step(struct pn_pipeline_stream *s)
{
    int r = words_left(s->first) ? find_marks(s) : 0;
    return r < 0 ? r : write_texts(s);
}
