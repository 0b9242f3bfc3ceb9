/* plan.c - see plan.h. */
#include "asr/pipeline/plan.h"

#define WANT_MAX ((size_t)1 << 20) /* hot words are the longest */

static struct pn_plan live_plan(const struct pn_pipeline *p, const struct pn_recognition *want,
                                enum pn_cut cut)
{
    struct pn_plan plan = { .route = PN_ROUTE_REPEATED, .cut = cut, .limit = PN_PIPELINE_SEGMENT };
    if (!p->first->streaming)
        return plan;
    const struct pn_recognizer *second = p->parts.second;
    plan.route = PN_ROUTE_STREAMED;
    plan.second = second && !want->first_pass && second->ops->check(second, want, NULL) == 0;
    if (!want->vad)
        plan.cut = PN_CUT_NONE;
    plan.limit = plan.second && plan.cut != PN_CUT_NONE ? PN_PIPELINE_SENTENCE : 0;
    return plan;
}

static struct pn_plan file_plan(const struct pn_pipeline *p, const struct pn_recognition *want,
                                enum pn_cut cut)
{
    const struct pn_recognizer *first = p->first;
    bool cuts = want->vad && cut == PN_CUT_VAD;
    if (first->streaming && cuts)
        return (struct pn_plan){ .route = PN_ROUTE_STREAMED, .cut = cut };
    if (first->one_utterance || cuts)
        return (struct pn_plan){ .route = PN_ROUTE_SEGMENTS,
                                 .cut = cut,
                                 .limit = PN_PIPELINE_SEGMENT,
                                 .short_whole = !cuts,
                                 .join = first->window_s > 0 };
    return (struct pn_plan){ .route = PN_ROUTE_DIRECT, .cut = PN_CUT_NONE };
}

struct pn_plan pn_plan_make(const struct pn_pipeline *p, const struct pn_recognition *want)
{
    /* Long audio for a model of one utterance, and a microphone's for one that does not stream, are cut by
     * voice if they can be: live ones only if the client wants silence to end sentences. */
    enum pn_cut cut = p->parts.vad && (want->vad || !want->live) ? PN_CUT_VAD : PN_CUT_LENGTH;
    struct pn_plan plan = want->live ? live_plan(p, want, cut) : file_plan(p, want, cut);
    bool bare = p->first->bare_text || (plan.second && p->parts.second->bare_text);
    plan.punctuation = want->punctuation && p->parts.punctuation && bare;
    plan.itn = want->itn;
    plan.through = plan.route == PN_ROUTE_DIRECT && !plan.punctuation && !plan.itn;
    return plan;
}

static bool copy_text(struct pn_arena *a, const char **text)
{
    *text = pn_arena_str(a, pn_str(*text));
    return *text != NULL;
}

int pn_plan_copy_want(struct pn_pipeline_stream *s, const struct pn_recognition *want)
{
    int r = pn_arena_new(WANT_MAX, &s->arena);
    if (r < 0)
        return r;
    s->want = *want;
    if (want->chunking) {
        s->chunking = *want->chunking;
        s->want.chunking = &s->chunking;
    }
    if (want->vad_options)
        s->vad_options = *want->vad_options;
    if (want->live && s->vad_options.pad_ms == 0)
        s->vad_options.pad_ms = s->pipeline->parts.live_pad_ms;
    s->want.vad_options = &s->vad_options;
    return copy_text(s->arena, &s->want.language) && copy_text(s->arena, &s->want.task) &&
                   copy_text(s->arena, &s->want.prompt) && copy_text(s->arena, &s->want.hotwords)
               ? 0
               : -PN_ENOMEM;
}
