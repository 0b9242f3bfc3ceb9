/* fsmn.c - FSMN-VAD as a detector: filter bank rows through the network, its probabilities and the frames'
 * levels through the decisions.
 *
 * Whatever the pieces in which samples come, the network runs and the dynamic rule counts in blocks of 60 ms,
 * so a stream's boundaries depend on its samples alone. A row waits for the two frames behind it. */
#include "asr/vad/fsmn_model.h"
#include "asr/vad/levels.h"
#include "asr/vad/vad_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_MS = 60,
    BLOCK = BLOCK_MS * 16,
    MAX_ROW = 16 * 128,
};

struct model {
    struct pn_vad_model base;
    struct pn_fsmn_model *fsmn;
};

struct stream {
    struct pn_vad base;
    const struct pn_fsmn_model *model;
    struct pn_fbank_stream *fbank;
    struct pn_fsmn_memory *memory;
    struct pn_fsmn_decision decision;
    struct pn_levels levels;
    int64_t pad; /* samples */
    int in_block;
};

static struct stream *stream_of(struct pn_vad *v)
{
    return PN_CONTAINER_OF(v, struct stream, base);
}

/* ---- rows ---- */

static void decide(struct stream *s, double p_silence, bool last)
{
    int64_t ms = 0, frame = s->decision.frame;
    double decibel = s->levels.decibel[frame % PN_LEVELS_KEPT];
    switch (pn_fsmn_frame(&s->decision, p_silence, decibel, last, &ms)) {
    case PN_FSMN_NOTHING:
        break;
    case PN_FSMN_START:
        pn_vad_events_put(&s->base.events, true, PN_MAX(ms * 16 - s->pad, 0));
        break;
    case PN_FSMN_END:
        pn_vad_events_put(&s->base.events, false, PN_MIN(ms * 16 + s->pad, s->base.fed));
        break;
    }
}

/* Everything that a block made ready. */
static void run(struct stream *s, bool last)
{
    float rows[PN_FSMN_BATCH * MAX_ROW], p[PN_FSMN_BATCH];
    pn_fsmn_call_begin(&s->decision, BLOCK_MS);
    for (size_t ready; (ready = pn_fbank_stream_ready(s->fbank)) > 0;) {
        size_t n = PN_MIN(ready, (size_t)PN_FSMN_BATCH);
        pn_fbank_stream_take(s->fbank, n, rows);
        pn_fsmn_run(s->model->net, s->memory, (int)n, rows, p);
        for (size_t i = 0; i < n; i++)
            decide(s, (double)p[i], last && n == ready && i + 1 == n);
    }
    pn_fsmn_call_end(&s->decision);
}

/* ---- a detector ---- */

static int feed(struct pn_vad *v, const float *pcm, size_t n)
{
    struct stream *s = stream_of(v);
    int r = s->memory ? 0 : pn_fsmn_memory_new(s->model->net, &s->memory);
    for (size_t done = 0, some; r == 0 && done < n; done += some) {
        some = PN_MIN((size_t)(BLOCK - s->in_block), n - done);
        r = pn_fbank_stream_feed(s->fbank, pcm + done, some);
        if (r < 0)
            break;
        pn_levels_feed(&s->levels, pcm + done, some);
        s->in_block += (int)some;
        if (s->in_block == BLOCK) {
            run(s, false);
            s->in_block = 0;
        }
    }
    return r;
}

static int end(struct pn_vad *v)
{
    struct stream *s = stream_of(v);
    pn_fbank_stream_end(s->fbank);
    if (s->memory)
        run(s, true);
    if (s->decision.in_speech)
        pn_vad_events_put(&v->events, false, v->fed);
    return 0;
}

/* Between clips a stream holds no memory of the network's. */
static void reset(struct pn_vad *v)
{
    struct stream *s = stream_of(v);
    pn_fbank_stream_reset(s->fbank);
    s->memory = pn_fsmn_memory_free(s->memory);
    pn_fsmn_decision_init(&s->decision, &s->decision.rules);
    s->levels = (struct pn_levels){ 0 };
    s->in_block = 0;
}

static int64_t settled(const struct pn_vad *v)
{
    const struct stream *s = PN_CONTAINER_OF(v, const struct stream, base);
    int64_t at = pn_fsmn_settled_ms(&s->decision) * 16;
    return s->decision.in_speech ? at : at - s->pad;
}

static void free_stream(struct pn_vad *v)
{
    struct stream *s = stream_of(v);
    pn_fbank_stream_free(s->fbank);
    pn_fsmn_memory_free(s->memory);
    free(s);
}

static const struct pn_vad_ops OPS = { feed, end, reset, settled, free_stream };

/* A shortest speech longer than the window that detects it is the whole window. */
static struct pn_fsmn_rules wanted(const struct pn_fsmn_model *m, const struct pn_vad_options *opt)
{
    struct pn_fsmn_rules r = m->rules;
    if (opt->threshold > 0)
        r.speech_noise_thres = (double)opt->threshold;
    else if (opt->dynamic_silence)
        r.speech_noise_thres = 0.5; /* as the reference has it */
    if (opt->min_speech_ms)
        r.to_speech = PN_MIN(PN_MAX(opt->min_speech_ms / PN_FSMN_FRAME_MS, 1), r.window);
    if (opt->end_silence_ms)
        r.end_silence_ms = opt->end_silence_ms;
    if (opt->max_speech_ms)
        r.max_speech_ms = opt->max_speech_ms;
    r.dynamic = opt->dynamic_silence;
    return r;
}

static int new_stream(const struct pn_vad_model *base, const struct pn_vad_options *opt, struct pn_vad **ret)
{
    const struct pn_fsmn_model *m = PN_CONTAINER_OF(base, const struct model, base)->fsmn;
    struct pn_fsmn_rules rules = wanted(m, opt);
    struct stream *s = calloc(1, sizeof(*s));
    if (!s || pn_fbank_stream_new(m->fbank, &s->fbank) < 0) {
        free(s);
        return -PN_ENOMEM;
    }
    s->base.ops = &OPS;
    s->model = m;
    s->pad = pn_vad_samples(opt->pad_ms, 0);
    pn_fsmn_decision_init(&s->decision, &rules);
    *ret = &s->base;
    return 0;
}

static void close_model(struct pn_vad_model *m)
{
    struct model *own = PN_CONTAINER_OF(m, struct model, base);
    pn_fsmn_model_close(own->fsmn);
    free(own);
}

int pn_vad_fsmn_open(const char *folder, struct pn_vad_model **ret, struct pn_err *err)
{
    struct pn_fsmn_model *fsmn = NULL;
    int r = pn_fsmn_model_open(folder, &fsmn, err);
    if (r < 0)
        return r;
    struct model *m = calloc(1, sizeof(*m));
    if (!m) {
        pn_fsmn_model_close(fsmn);
        return pn_fail(err, PN_ENOMEM, "%s: out of memory", folder);
    }
    *m = (struct model){ { PN_VAD_FSMN, new_stream, close_model }, fsmn };
    *ret = &m->base;
    return 0;
}
