/* transcription.c - see transcription.h: the public calls, handed on to slots and loop. */
#include "asr/whisper/transcription_impl.h"

#include "asr/whisper/result.h"

#include <math.h>
#include <stdlib.h>

enum {
    RUN_ROWS = 256,       /* rows of one decoder call of pn_transcription_run() */
    RUN_SLICE_US = 100000 /* encoder work of one step there */
};

#define TRANSCRIPTION_BYTES ((size_t)512 << 20)

void pn_transcription_fail(struct pn_transcription *t, int r, const char *what)
{
    if (t->status == 0)
        t->status = pn_fail(&t->err, (enum pn_error) - r, "%s: %s", what, pn_error_name(r));
}

bool pn_transcription_knows_language(const struct pn_transcription *t)
{
    return t->language >= 0 || !t->model->vocab->multilingual;
}

int pn_transcription_sot(const struct pn_transcription *t, int32_t *ids)
{
    const struct pn_vocab *v = t->model->vocab;
    ids[0] = v->sot;
    if (!v->multilingual)
        return 1;
    ids[1] = t->language;
    ids[2] = t->set.opt.translate ? v->translate : v->transcribe;
    return 3;
}

static int new_transcription(struct pn_whisper_engine *e, const struct pn_features *features,
                             const struct pn_transcribe_options *opt, enum pn_mode mode,
                             struct pn_transcription **ret, struct pn_err *err)
{
    struct pn_transcription *t = calloc(1, sizeof(*t));
    if (!t)
        return pn_fail(err, PN_ENOMEM, "out of memory");
    t->engine = e;
    t->model = pn_whisper_engine_model(e);
    t->features = features;
    t->mode = mode;
    t->window_frames = 2 * t->model->dims.n_audio_ctx;
    t->content_frames = pn_features_frames(features);
    t->language_probs = calloc((size_t)t->model->vocab->n_languages + 1, sizeof(*t->language_probs));
    int r = t->language_probs ? pn_arena_new(TRANSCRIPTION_BYTES, &t->arena) : -PN_ENOMEM;
    if (r == 0)
        r = pn_settings_make(t->model, opt, t->arena, &t->set, err);
    if (r == 0) {
        t->language = t->set.language;
        r = pn_loop_init(t);
    }
    if (r == 0) {
        pn_loop_advance(t);
        r = t->status;
    }
    if (r < 0) {
        pn_transcription_free(t);
        return pn_fail(err, (enum pn_error) - r, "%s", pn_error_name(r));
    }
    *ret = t;
    return 0;
}

int pn_transcription_new(struct pn_whisper_engine *e, const struct pn_features *features,
                         const struct pn_transcribe_options *opt, struct pn_transcription **ret,
                         struct pn_err *err)
{
    return new_transcription(e, features, opt, opt->batch ? PN_BATCH : PN_SEQUENTIAL, ret, err);
}

int pn_transcription_new_window(struct pn_whisper_engine *e, const struct pn_features *features,
                                const struct pn_transcribe_options *opt, struct pn_transcription **ret,
                                struct pn_err *err)
{
    if (opt->n_temperatures != 1)
        return pn_fail(err, PN_EINVAL, "temperature: one window takes exactly one, not %d",
                       opt->n_temperatures);
    return new_transcription(e, features, opt, PN_SINGLE, ret, err);
}

struct pn_transcription *pn_transcription_free(struct pn_transcription *t)
{
    if (!t)
        return NULL;
    for (int i = 0; i < PN_MAX_SLOTS; i++)
        pn_slot_done(&t->slot[i]);
    free(t->clips);
    free(t->all);
    free(t->segments);
    free(t->language_probs);
    pn_arena_free(t->arena);
    free(t);
    return NULL;
}

unsigned pn_transcription_want(const struct pn_transcription *t)
{
    unsigned want = 0;
    for (int i = 0; i < t->n_slots && t->status == 0; i++) {
        const struct pn_slot *s = &t->slot[i];
        want |= s->state == PN_SLOT_ENCODE ? PN_WANT_ENCODER : 0;
        want |= s->n_given > 0 || pn_slot_n_rows(s) > 0 ? PN_WANT_DECODER : 0;
    }
    return want;
}

int pn_transcription_status(const struct pn_transcription *t, struct pn_err *err)
{
    return t->status < 0 ? pn_fail(err, (enum pn_error) - t->status, "%s", t->err.text) : 0;
}

int pn_transcription_begin(struct pn_transcription *t, struct pn_encoder_run **ret)
{
    /* The oldest window first: windows are taken in order. */
    struct pn_slot *first = NULL;
    for (int i = 0; i < t->n_slots; i++)
        if (t->slot[i].state == PN_SLOT_ENCODE && (!first || t->slot[i].span.seek < first->span.seek))
            first = &t->slot[i];
    return first && t->status == 0 ? pn_slot_begin(t, first, ret) : -PN_EINVAL;
}

void pn_transcription_encoded(struct pn_transcription *t, struct pn_encoder_run *run)
{
    for (int i = 0; i < t->n_slots && t->status == 0; i++)
        if (t->slot[i].state == PN_SLOT_ENCODING && t->slot[i].run == run) {
            pn_slot_encoded(t, &t->slot[i], run);
            break;
        }
    pn_encoder_run_free(run);
    pn_loop_advance(t);
}

int pn_transcription_n_rows(const struct pn_transcription *t, int cap)
{
    int n = 0;
    for (int i = 0; i < t->n_slots && t->status == 0 && n < cap; i++)
        n += pn_slot_n_rows(&t->slot[i]);
    return PN_MIN(n, cap);
}

int pn_transcription_rows(struct pn_transcription *t, struct pn_decoder_row *rows, int cap)
{
    int n = 0;
    for (int i = 0; i < t->n_slots && t->status == 0; i++)
        n += pn_slot_rows(t, &t->slot[i], rows + n, cap - n);
    return n;
}

void pn_transcription_decoded(struct pn_transcription *t, int r)
{
    if (r < 0)
        pn_transcription_fail(t, r, "decoder");
    for (int i = 0; i < t->n_slots && t->status == 0; i++)
        if (t->slot[i].n_given > 0)
            pn_slot_decoded(t, &t->slot[i]);
    pn_loop_advance(t);
}

static double duration(const struct pn_transcription *t)
{
    return (double)pn_features_samples(t->features) / 16000;
}

/* Nothing is wanted, and nothing is out. */
static bool is_over(const struct pn_transcription *t)
{
    for (int i = 0; i < t->n_slots; i++)
        if (t->slot[i].state != PN_SLOT_IDLE)
            return t->status < 0;
    return true;
}

double pn_transcription_position(const struct pn_transcription *t)
{
    return is_over(t) ? duration(t) : PN_MIN((double)t->seek / 100, duration(t));
}

int pn_transcription_result(const struct pn_transcription *t, struct pn_transcript **ret, struct pn_err *err)
{
    const struct pn_vocab *v = t->model->vocab;
    const char *language = !v->multilingual   ? "en"
                           : t->language >= 0 ? pn_vocab_language_code(v, t->language)
                                              : "";
    struct pn_result_parts p = { .vocab = v,
                                 .model = t->model->name,
                                 .language = language,
                                 .translate = t->set.opt.translate,
                                 .word_times = t->set.opt.word_timestamps,
                                 .final = is_over(t),
                                 .duration = duration(t),
                                 .segments = t->segments,
                                 .n_segments = t->n_segments,
                                 .tokens = t->all + t->set.n_initial,
                                 .n_tokens = (size_t)(t->n_all - t->set.n_initial) };
    int r = pn_result_make(&p, ret);
    return r < 0 ? pn_fail(err, (enum pn_error) - r, "transcript: %s", pn_error_name(r)) : 0;
}

const float *pn_transcription_language_probs(const struct pn_transcription *t)
{
    return t->detected ? t->language_probs : NULL;
}

static int run_encoder(struct pn_transcription *t)
{
    struct pn_encoder_run *run = NULL;
    int r = pn_transcription_begin(t, &run);
    if (r < 0)
        return r;
    while (pn_encoder_run_step(run, RUN_SLICE_US) == 0)
        ;
    pn_transcription_encoded(t, run);
    return 0;
}

int pn_transcription_run(struct pn_transcription *t, struct pn_err *err)
{
    struct pn_decoder_row *rows = calloc(RUN_ROWS, sizeof(*rows));
    int r = rows ? 0 : -PN_ENOMEM;
    unsigned want = 0;
    while (r == 0 && (want = pn_transcription_want(t)) != 0) {
        if (want & PN_WANT_ENCODER) {
            r = run_encoder(t);
            continue;
        }
        int n = pn_transcription_rows(t, rows, RUN_ROWS);
        pn_transcription_decoded(t, n > 0 ? pn_decoder_run(t->engine, rows, n) : 0);
    }
    free(rows);
    if (r < 0)
        return pn_fail(err, (enum pn_error) - r, "%s", pn_error_name(r));
    return pn_transcription_status(t, err);
}
