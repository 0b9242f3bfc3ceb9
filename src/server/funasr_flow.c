/* funasr_flow.c - see funasr_flow.h. */
#include "server/funasr_flow.h"

#include "text/utf8.h"

#include <string.h>

#define TEXT_MAX ((size_t)64 << 20)

/* ---- sentences --------------------------------------------------------------------------------------- */

static bool has_text(const struct pn_transcript *t, const struct pn_sentence *s)
{
    for (size_t i = 0; i < s->n_segments; i++)
        if (pn_utf8_strip(pn_str(t->segments[s->segment + i].text)).len)
            return true;
    return false;
}

/* With the blank that joins it to the sentence before, where its script has one. */
static void write_text(const struct pn_funasr_flow *f, const struct pn_transcript *t,
                       const struct pn_sentence *s, struct pn_buf *out)
{
    for (size_t i = 0; i < s->n_segments; i++) {
        struct pn_str text = pn_str(t->segments[s->segment + i].text);
        bool first = f->n_corrected == 0 && out->len == 0;
        pn_buf_str(out, first ? pn_utf8_strip(text) : text);
    }
}

static int correct(struct pn_funasr_flow *f, const struct pn_transcript *t, const struct pn_sentence *s,
                   bool is_final, pn_funasr_tell *tell, void *ctx)
{
    struct pn_buf text;
    pn_buf_init(&text, TEXT_MAX);
    write_text(f, t, s, &text);
    struct pn_funasr_answer a = { .mode = "2pass-offline",
                                  .text = { text.ptr, text.len },
                                  .is_final = is_final,
                                  .segments = t->segments + s->segment,
                                  .n_segments = s->n_segments,
                                  .slice = PN_FUNASR_ENDED,
                                  .index = f->n_corrected,
                                  .start = s->start,
                                  .end = s->end };
    int r = text.failed ? text.failed : tell(ctx, &a);
    pn_buf_done(&text);
    if (r < 0)
        return r;
    f->n_corrected++;
    f->begun = false;
    f->shown = s->live_end;
    return 0;
}

/* A sentence that is closed and not the last message. One in which nothing was found after all is told only
 * if something of it was shown. */
static int settle(struct pn_funasr_flow *f, const struct pn_transcript *t, const struct pn_sentence *s,
                  pn_funasr_tell *tell, void *ctx)
{
    bool seen = f->begun && s->live_end > s->live_start;
    int r = 0;
    if (has_text(t, s) || seen)
        r = correct(f, t, s, false, tell, ctx);
    else
        f->shown = PN_MAX(f->shown, s->live_end);
    if (r == 0)
        f->n_settled++;
    return r;
}

/* ---- live text --------------------------------------------------------------------------------------- */

static struct pn_str news(const struct pn_funasr_flow *f, const struct pn_transcript *t)
{
    struct pn_str live = t ? pn_str(t->live_text) : PN_STR("");
    size_t shown = PN_MIN(f->shown, live.len);
    return (struct pn_str){ live.ptr + shown, live.len - shown };
}

static int show(struct pn_funasr_flow *f, const struct pn_transcript *t, pn_funasr_tell *tell, void *ctx)
{
    struct pn_funasr_answer a = { .mode = f->two_pass ? "2pass-online" : "online",
                                  .text = news(f, t),
                                  .slice = PN_FUNASR_NO_SLICE };
    if (f->two_pass) {
        a.slice = f->begun ? PN_FUNASR_GOES_ON : PN_FUNASR_BEGINS;
        a.index = f->n_corrected;
    }
    if (a.text.len == 0)
        return 0;
    int r = tell(ctx, &a);
    if (r < 0)
        return r;
    f->shown += a.text.len;
    f->begun = true;
    return 0;
}

int pn_funasr_flow_next(struct pn_funasr_flow *f, const struct pn_transcript *t, bool all_heard,
                        pn_funasr_tell *tell, void *ctx)
{
    while (f->two_pass && f->n_settled < t->n_sentences && t->sentences[f->n_settled].closed) {
        if (all_heard && f->n_settled + 1 == t->n_sentences)
            return 0;
        int r = settle(f, t, &t->sentences[f->n_settled], tell, ctx);
        if (r < 0)
            return r;
    }
    return show(f, t, tell, ctx);
}

/* ---- the end ----------------------------------------------------------------------------------------- */

/* One more than the last sentence that has text and is not told yet; 0: none. */
static size_t last_with_text(const struct pn_funasr_flow *f, const struct pn_transcript *t)
{
    size_t n = t ? t->n_sentences : 0;
    while (n > f->n_settled && !has_text(t, &t->sentences[n - 1]))
        n--;
    return n > f->n_settled ? n : 0;
}

int pn_funasr_flow_end(struct pn_funasr_flow *f, const struct pn_transcript *t, pn_funasr_tell *tell,
                       void *ctx)
{
    struct pn_funasr_answer a = { .mode = f->two_pass ? "2pass-offline" : "online",
                                  .is_final = true,
                                  .slice = PN_FUNASR_NO_SLICE };
    if (!f->two_pass) {
        a.text = news(f, t);
        return tell(ctx, &a);
    }
    size_t n = last_with_text(f, t);
    while (f->n_settled + 1 < n) {
        int r = settle(f, t, &t->sentences[f->n_settled], tell, ctx);
        if (r < 0)
            return r;
    }
    return n ? correct(f, t, &t->sentences[n - 1], true, tell, ctx) : tell(ctx, &a);
}
