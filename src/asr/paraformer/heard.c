/* heard.c - see heard.h. */
#include "asr/paraformer/heard.h"

#include "asr/paraformer/model.h"

#include <math.h>
#include <stdlib.h>

#define TRANSCRIPT_MAX ((size_t)16 << 20)

int pn_heard_add(struct pn_heard *h, const struct pn_heard_token *t)
{
    if (h->n == h->cap) {
        size_t cap = h->cap ? 2 * h->cap : 32;
        struct pn_heard_token *more = reallocarray(h->token, cap, sizeof(*more));
        if (!more)
            return -PN_ENOMEM;
        h->token = more;
        h->cap = cap;
    }
    h->token[h->n++] = *t;
    return 0;
}

void pn_heard_done(struct pn_heard *h)
{
    free(h->token);
    *h = (struct pn_heard){ 0 };
}

bool pn_heard_is_text(int32_t id)
{
    return id != PN_PF_BLANK && id != PN_PF_START && id != PN_PF_END;
}

/* The tokens that stand for text, as the word rules want them. */
struct spoken {
    struct pn_str *text;
    struct pn_stamp *at;
    int32_t *id;
    size_t n;
    double logprob; /* sum */
};

static int collect(const struct pn_heard *h, const struct pn_funasr *folder, struct pn_arena *a,
                   struct spoken *s)
{
    s->text = pn_arena_alloc(a, (h->n + 1) * sizeof(*s->text));
    s->at = pn_arena_alloc(a, (h->n + 1) * sizeof(*s->at));
    s->id = pn_arena_alloc(a, (h->n + 1) * sizeof(*s->id));
    if (!s->text || !s->at || !s->id)
        return -PN_ENOMEM;
    for (size_t i = 0; i < h->n; i++) {
        const struct pn_heard_token *t = &h->token[i];
        if (!pn_heard_is_text(t->id))
            continue;
        s->text[s->n] = pn_funasr_token(folder, (size_t)t->id);
        s->at[s->n] = t->at;
        s->id[s->n++] = t->id;
        s->logprob += (double)t->logprob;
    }
    return 0;
}

static int copy_words(const struct pn_token_words *w, double confidence, struct pn_arena *a,
                      struct pn_word **ret)
{
    struct pn_word *word = pn_arena_alloc(a, (w->n + 1) * sizeof(*word));
    if (!word)
        return -PN_ENOMEM;
    for (size_t i = 0; i < w->n; i++) {
        const struct pn_token_word *from = &w->word[i];
        word[i] = (struct pn_word){ .text = pn_arena_printf(a, "%s%.*s", from->blank ? " " : "",
                                                            (int)from->text.len, from->text.ptr),
                                    .start = (double)from->at.begin / 1000,
                                    .end = (double)from->at.end / 1000,
                                    .confidence = confidence };
        if (!word[i].text)
            return -PN_ENOMEM;
    }
    *ret = word;
    return 0;
}

static int make_segment(const struct spoken *s, const struct pn_token_words *w, bool open,
                        struct pn_transcript *t)
{
    struct pn_segment *segment = pn_arena_alloc(t->arena, sizeof(*segment));
    struct pn_word *words = NULL;
    double mean = s->logprob / (double)s->n;
    char *text = pn_arena_str(t->arena, w->text);
    if (!segment || !text || copy_words(w, exp(mean), t->arena, &words) < 0)
        return -PN_ENOMEM;
    *segment = (struct pn_segment){ .seek = w->word[0].at.begin / 10,
                                    .start = words[0].start,
                                    .end = words[w->n - 1].end,
                                    .text = text,
                                    .tokens = s->id,
                                    .n_tokens = s->n,
                                    .avg_logprob = mean,
                                    .compression_ratio = pn_compression_ratio(w->text),
                                    .confidence = exp(mean),
                                    .words = words,
                                    .n_words = w->n,
                                    .open = open };
    t->text = text;
    t->segments = segment;
    t->n_segments = 1;
    return 0;
}

/* Any character beyond ASCII makes it Chinese: the vocabularies hold nothing else. */
static const char *language_of(struct pn_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return "zh";
    return text.len ? "en" : "";
}

static int fill(const struct pn_heard *h, const struct pn_heard_context *c, struct pn_transcript *t)
{
    struct spoken s = { 0 };
    struct pn_token_words w = { 0 };
    int r = collect(h, c->folder, t->arena, &s);
    if (r == 0)
        r = pn_words_of_tokens(s.text, s.at, s.n, t->arena, &w);
    if (r < 0)
        return r;
    t->model = pn_arena_str(t->arena, pn_str(c->model));
    t->language = pn_arena_str(t->arena, pn_str(c->language[0] ? c->language : language_of(w.text)));
    t->task = pn_arena_str(t->arena, pn_str(c->task));
    t->text = t->full_text = "";
    t->duration = c->duration;
    t->word_times = c->word_times;
    t->final = c->final;
    if (!t->model || !t->language || !t->task)
        return -PN_ENOMEM;
    return w.n > 0 ? make_segment(&s, &w, !c->final, t) : 0;
}

int pn_heard_transcript(const struct pn_heard *h, const struct pn_heard_context *c,
                        struct pn_transcript **ret, struct pn_err *err)
{
    struct pn_transcript *t = NULL;
    int r = pn_transcript_new(TRANSCRIPT_MAX, &t);
    if (r == 0)
        r = fill(h, c, t);
    if (r < 0) {
        pn_transcript_free(t);
        return pn_fail(err, (enum pn_error) - r, "no memory for a transcript");
    }
    *ret = t;
    return 0;
}
