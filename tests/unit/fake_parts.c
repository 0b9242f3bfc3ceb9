/* fake_parts.c - a voice activity detector, punctuation and number writing that are easy to foresee, under
 * the names of the real ones, for the pipeline's tests.
 *
 * Speech is what is not 0. It begins 100 ms (pad_ms) before the 150 ms that tell it, or where the segment
 * before it ended, and ends 50 ms behind its last sample, found after 300 ms (end_silence_ms) of silence.
 * "five" ends a sentence, "three" a clause, and so does the end of a text. "nine" is written 9. */
#include "asr/punctuation/punctuation.h"
#include "asr/vad/vad.h"
#include "text/itn/itn.h"

#include <stdlib.h>
#include <string.h>

enum { FIND = 2400, PAD = 800, BEFORE = 1600, SILENCE = 4800, MAX_EVENTS = 8192 };

struct pn_vad {
    int64_t silence, before;
    int64_t at, run, last_speech, floor; /* run: samples of speech in a row */
    bool open, ended;
    struct pn_vad_event events[MAX_EVENTS];
    size_t n, told;
};

int pn_vad_check(const struct pn_vad_options *opt, struct pn_err *err)
{
    return opt->end_silence_ms < 0 ? pn_fail(err, PN_EINVAL, "no such silence") : 0;
}

int pn_vad_new(const struct pn_vad_model *m, const struct pn_vad_options *opt, struct pn_vad **ret)
{
    (void)m;
    *ret = calloc(1, sizeof(**ret));
    if (!*ret)
        return -PN_ENOMEM;
    (*ret)->silence = opt && opt->end_silence_ms ? opt->end_silence_ms * 16 : SILENCE;
    (*ret)->before = opt && opt->pad_ms ? opt->pad_ms * 16 : BEFORE;
    return 0;
}

struct pn_vad *pn_vad_free(struct pn_vad *v)
{
    free(v);
    return NULL;
}

static void say(struct pn_vad *v, bool start, int64_t sample)
{
    if (v->n == MAX_EVENTS)
        abort();
    v->events[v->n++] = (struct pn_vad_event){ start, sample };
    v->open = start;
    v->run = 0;
    if (!start)
        v->floor = sample;
}

int pn_vad_feed(struct pn_vad *v, const float *pcm, size_t n)
{
    if (v->ended)
        return -PN_EINVAL;
    for (size_t i = 0; i < n; i++) {
        v->at++;
        if (pcm[i] != 0)
            v->last_speech = v->at;
        v->run = pcm[i] != 0 ? v->run + 1 : 0;
        int64_t start = v->at - FIND - v->before;
        if (!v->open && v->run == FIND)
            say(v, true, start > v->floor ? start : v->floor);
        else if (v->open && v->at - v->last_speech >= v->silence)
            say(v, false, v->last_speech + PAD);
    }
    return 0;
}

int pn_vad_end(struct pn_vad *v)
{
    v->ended = true;
    if (v->open)
        say(v, false, v->at);
    return 0;
}

bool pn_vad_next(struct pn_vad *v, struct pn_vad_event *ret)
{
    if (v->told == v->n)
        return false;
    *ret = v->events[v->told++];
    return true;
}

int64_t pn_vad_settled(const struct pn_vad *v)
{
    int64_t settled = v->open ? v->last_speech : v->at - FIND - v->before;
    return settled > v->floor ? settled : v->floor;
}

/* ---- punctuation ---- */

static unsigned char mark_of(struct pn_str word)
{
    if (pn_str_is(word, "five") || pn_str_is(word, "五"))
        return PN_MARK_PERIOD;
    return pn_str_is(word, "three") || pn_str_is(word, "三") ? PN_MARK_COMMA : PN_MARK_NONE;
}

/* A run of ASCII, or one other character. */
static struct pn_str next_word(struct pn_str *text)
{
    size_t n = 0;
    while (n < text->len && (unsigned char)text->ptr[n] < 0x80 && text->ptr[n] != ' ')
        n++;
    if (n == 0)
        n = pn_utf8_next(*text, NULL);
    struct pn_str word = { text->ptr, n };
    *text = pn_str_trim((struct pn_str){ text->ptr + n, text->len - n });
    return word;
}

int pn_punctuate(const struct pn_punctuation *p, struct pn_str text, struct pn_buf *out,
                 struct pn_buf *ret_marks)
{
    (void)p;
    pn_buf_str(out, text);
    text = pn_str_trim(text);
    while (text.len) {
        struct pn_str word = next_word(&text);
        pn_buf_putc(ret_marks, (char)(text.len ? mark_of(word) : PN_MARK_PERIOD));
    }
    return out->failed ? out->failed : ret_marks->failed;
}

int pn_itn(struct pn_str text, const char *language, struct pn_buf *out)
{
    (void)language;
    while (text.len) {
        size_t n = 1;
        if (text.len >= 4 && memcmp(text.ptr, "nine", 4) == 0)
            n = 4;
        else if (text.len >= 3 && memcmp(text.ptr, "九", 3) == 0)
            n = 3;
        if (n > 1)
            pn_buf_putc(out, '9');
        else
            pn_buf_putc(out, text.ptr[0]);
        text = (struct pn_str){ text.ptr + n, text.len - n };
    }
    return out->failed;
}
