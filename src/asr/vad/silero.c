/* silero.c - Silero VAD as a detector: windows of 512 samples through the network, its probabilities through
 * the segmenter. */
#include "asr/vad/segmenter.h"
#include "asr/vad/silero_net.h"
#include "asr/vad/vad_impl.h"

#include <stdlib.h>
#include <string.h>

/* Upstream is made for cutting: 250 ms of speech would lose one command of one syllable in twenty, 100 ms of
 * silence end a sentence at a comma. */
enum { MIN_SPEECH_MS = 128, END_SILENCE_MS = 500, PAD_MS = 100 };
static const double THRESHOLD = 0.5, HYSTERESIS = 0.15, LEAST_THRESHOLD = 0.01;

struct model {
    struct pn_vad_model base;
    struct pn_silero_net *net;
};

struct stream {
    struct pn_vad base;
    const struct pn_silero_net *net;
    struct pn_silero_state state;
    struct pn_segmenter segmenter;
    int n;
    float window[PN_SILERO_WINDOW];
};

static struct stream *stream_of(struct pn_vad *v)
{
    return PN_CONTAINER_OF(v, struct stream, base);
}

static struct pn_segmenter_options rules(const struct pn_vad_options *opt)
{
    int64_t pad = pn_vad_samples(opt->pad_ms, PAD_MS);
    double threshold = opt->threshold > 0 ? (double)opt->threshold : THRESHOLD;
    return (struct pn_segmenter_options){
        .frame = PN_SILERO_WINDOW,
        .threshold = threshold,
        .silence = PN_MAX(threshold - HYSTERESIS, LEAST_THRESHOLD),
        .min_speech = pn_vad_samples(opt->min_speech_ms, MIN_SPEECH_MS),
        .min_silence = pn_vad_samples(opt->end_silence_ms, END_SILENCE_MS),
        .pad = pad,
        .max_speech = pn_segmenter_longest(opt->max_speech_ms, pad, PN_SILERO_WINDOW),
    };
}

static void step(struct stream *s, int64_t until)
{
    float p = pn_silero_step(s->net, &s->state, s->window, false, NULL);
    pn_segmenter_feed(&s->segmenter, (double)p, until);
    s->n = 0;
}

static int feed(struct pn_vad *v, const float *pcm, size_t n)
{
    struct stream *s = stream_of(v);
    for (size_t i = 0; i < n; i++) {
        s->window[s->n++] = pn_vad_sample(pcm[i]);
        if (s->n == PN_SILERO_WINDOW)
            step(s, s->segmenter.at + PN_SILERO_WINDOW);
    }
    return 0;
}

static int end(struct pn_vad *v)
{
    struct stream *s = stream_of(v);
    if (s->n > 0) {
        memset(s->window + s->n, 0, (size_t)(PN_SILERO_WINDOW - s->n) * sizeof(*s->window));
        step(s, v->fed);
    }
    pn_segmenter_end(&s->segmenter, v->fed);
    return 0;
}

static void reset(struct pn_vad *v)
{
    struct stream *s = stream_of(v);
    struct pn_segmenter_options opt = s->segmenter.opt;
    s->n = 0;
    s->state = (struct pn_silero_state){ 0 };
    pn_segmenter_init(&s->segmenter, &opt, &v->events);
}

static int64_t settled(const struct pn_vad *v)
{
    return pn_segmenter_settled(&PN_CONTAINER_OF(v, const struct stream, base)->segmenter);
}

static void free_stream(struct pn_vad *v)
{
    free(stream_of(v));
}

static const struct pn_vad_ops OPS = { feed, end, reset, settled, free_stream };

static int new_stream(const struct pn_vad_model *m, const struct pn_vad_options *opt, struct pn_vad **ret)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (!s)
        return -PN_ENOMEM;
    struct pn_segmenter_options r = rules(opt);
    s->base.ops = &OPS;
    s->net = PN_CONTAINER_OF(m, const struct model, base)->net;
    pn_segmenter_init(&s->segmenter, &r, &s->base.events);
    *ret = &s->base;
    return 0;
}

static void close_model(struct pn_vad_model *m)
{
    struct model *own = PN_CONTAINER_OF(m, struct model, base);
    pn_silero_net_free(own->net);
    free(own);
}

int pn_vad_silero_open(const char *path, struct pn_vad_model **ret, struct pn_err *err)
{
    struct pn_silero_weights *w = NULL;
    int r = pn_silero_read(path, &w, err);
    if (r < 0)
        return r;
    struct model *m = calloc(1, sizeof(*m));
    r = m ? pn_silero_net_new(w, &m->net) : -PN_ENOMEM;
    free(w);
    if (r < 0) {
        free(m);
        return pn_fail(err, PN_ENOMEM, "%s: out of memory", path);
    }
    m->base = (struct pn_vad_model){ PN_VAD_SILERO, new_stream, close_model };
    *ret = &m->base;
    return 0;
}
