/* result.c - see result.h. */
#include "asr/whisper/result.h"

#include "text/utf8.h"

#include <string.h>

#define RESULT_BYTES ((size_t)512 << 20)

static const char *copy_text(struct pn_transcript *t, const char *text)
{
    return pn_arena_str(t->arena, pn_str(text));
}

static int copy_words(struct pn_transcript *t, const struct pn_segment *from, struct pn_segment *to)
{
    struct pn_word *words = pn_arena_alloc(t->arena, (from->n_words + 1) * sizeof(*words));
    if (!words)
        return -PN_ENOMEM;
    for (size_t i = 0; i < from->n_words; i++) {
        words[i] = from->words[i];
        words[i].text = copy_text(t, from->words[i].text);
        if (!words[i].text)
            return -PN_ENOMEM;
    }
    to->words = words;
    return 0;
}

static int copy_segment(struct pn_transcript *t, const struct pn_segment *from, struct pn_segment *to)
{
    *to = *from;
    int32_t *tokens = pn_arena_alloc(t->arena, (from->n_tokens + 1) * sizeof(*tokens));
    to->text = copy_text(t, from->text);
    if (!tokens || !to->text)
        return -PN_ENOMEM;
    if (from->n_tokens > 0)
        memcpy(tokens, from->tokens, from->n_tokens * sizeof(*tokens));
    to->tokens = tokens;
    return copy_words(t, from, to);
}

static int copy_segments(struct pn_transcript *t, const struct pn_result_parts *p)
{
    struct pn_segment *out = pn_arena_alloc(t->arena, (p->n_segments + 1) * sizeof(*out));
    int r = out ? 0 : -PN_ENOMEM;
    for (size_t i = 0; i < p->n_segments && r == 0; i++)
        r = copy_segment(t, &p->segments[i], &out[i]);
    t->segments = out;
    t->n_segments = p->n_segments;
    return r;
}

static int write_texts(struct pn_transcript *t, const struct pn_result_parts *p)
{
    struct pn_buf buf;
    pn_buf_init(&buf, RESULT_BYTES / 4);
    for (size_t i = 0; i < p->n_segments; i++)
        pn_buf_puts(&buf, p->segments[i].text);
    t->text = pn_arena_str(t->arena, pn_utf8_strip((struct pn_str){ buf.ptr, buf.len }));
    int r = buf.failed;
    pn_buf_clear(&buf);
    pn_vocab_decode(p->vocab, p->tokens, p->n_tokens, false, &buf);
    t->full_text = pn_arena_str(t->arena, (struct pn_str){ buf.ptr, buf.len });
    r = r < 0 ? r : buf.failed;
    pn_buf_done(&buf);
    return r < 0 ? r : t->text && t->full_text ? 0 : -PN_ENOMEM;
}

int pn_result_make(const struct pn_result_parts *p, struct pn_transcript **ret)
{
    struct pn_transcript *t = NULL;
    int r = pn_transcript_new(RESULT_BYTES, &t);
    if (r < 0)
        return r;
    t->model = copy_text(t, p->model);
    t->language = copy_text(t, p->language);
    t->task = p->translate ? "translate" : "transcribe";
    t->duration = p->duration;
    t->word_times = p->word_times;
    t->final = p->final;
    r = t->model && t->language ? copy_segments(t, p) : -PN_ENOMEM;
    if (r == 0)
        r = write_texts(t, p);
    if (r < 0)
        pn_transcript_free(t);
    else
        *ret = t;
    return r;
}
