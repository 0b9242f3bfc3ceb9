/* golden_stages.c - the engine's stages one by one: encoder output, logits of the first step, probabilities
 * of languages. When a whole run differs, these say where to look. */
#include "golden.h"

#include "fixtures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 64 };

static const double ENCODER = 2e-3, LOGITS = 5e-3, PROBABILITY = 1e-3;

/* What one clip's stages gave, and the worst differences. */
struct stages {
    const struct golden_session *s;
    const struct golden_clip *c;
    struct pn_encoder_run *run;
    struct pn_cross *cross;
    float *logits; /* [MAX_TOKENS][n_vocab] */
    int failures;
};

static void judge(struct stages *st, const char *what, double difference, double tolerance)
{
    bool ok = !st->s->strict || difference <= tolerance;
    st->failures += !ok;
    printf(" %s %.1e%s", what, difference, ok ? "" : " FAILED");
}

/* The window that decoding sees: the clip's frames, then zeros. */
static bool encode(struct stages *st)
{
    const struct pn_whisper_dims *d = &st->s->model->dims;
    int64_t frames = PN_MIN(pn_features_frames(st->c->features), (int64_t)2 * d->n_audio_ctx);
    if (pn_encoder_run_new(st->s->engine, d->n_audio_ctx, &st->run) < 0)
        return false;
    float *mel = pn_encoder_run_mel(st->run);
    memset(mel, 0, (size_t)2 * (size_t)d->n_audio_ctx * (size_t)d->n_mels * sizeof(*mel));
    pn_features_read(st->c->features, 0, frames, mel);
    while (pn_encoder_run_step(st->run, 50000) == 0)
        ;
    st->cross = pn_encoder_run_take_cross(st->run);
    return st->cross != NULL;
}

/* Runs the tokens as one sequence from position 0; logits of all of them. */
static bool decode(struct stages *st, const json_t *tokens)
{
    struct pn_decoder_row rows[MAX_TOKENS];
    struct pn_self_cache *cache = NULL;
    size_t n = json_array_size(tokens), n_vocab = (size_t)st->s->model->dims.n_vocab;
    if (n == 0 || n > MAX_TOKENS || pn_self_cache_new(st->s->engine, &cache) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct pn_decoder_row){ .cache = cache,
                                           .cross = st->cross,
                                           .token = (int32_t)json_integer_value(json_array_get(tokens, i)),
                                           .position = (int)i,
                                           .logits = st->logits + i * n_vocab };
    int r = pn_decoder_run(st->s->engine, rows, (int)n);
    pn_self_cache_free(cache);
    return r == 0;
}

static double worst(const float *got, const float *want, size_t n)
{
    double w = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        w = d > w || isnan(d) ? d : w;
    }
    return w;
}

/* NAME.encoder.npy has all rows, NAME.encoder_everyN.npy rows 0, N, 2 N ... */
static void check_encoder(struct stages *st, const char *suffix, size_t step)
{
    char path[PN_FIXTURE_PATH];
    struct pn_npy want;
    size_t width = (size_t)st->s->model->dims.n_audio_state, rows = (size_t)st->s->model->dims.n_audio_ctx;
    snprintf(path, sizeof(path), "%s/%s.%s.npy", st->c->folder, st->c->name, suffix);
    FILE *f = fopen(path, "rb");
    if (!f)
        return;
    fclose(f);
    if (!pn_npy_load(path, &want))
        return;
    const float *got = pn_encoder_run_output(st->run);
    double w =
        want.n_dims == 2 && want.dim[1] == width && want.dim[0] * step <= rows && want.f32 ? 0 : HUGE_VAL;
    for (size_t i = 0; w < HUGE_VAL && i < want.dim[0]; i++)
        w = fmax(w, worst(got + i * step * width, want.f32 + i * width, width));
    judge(st, suffix, w, ENCODER);
    pn_npy_done(&want);
}

static double logsumexp(const float *x, size_t n)
{
    double top = -HUGE_VAL, sum = 0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, (double)x[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - top);
    return top + log(sum);
}

static void check_first_step(struct stages *st)
{
    const json_t *first = json_object_get(st->c->golden, "first_step");
    const json_t *tokens = json_object_get(first, "tokens"), *top = json_object_get(first, "top20");
    const struct pn_vocab *v = st->s->model->vocab;
    size_t n_vocab = (size_t)v->n_vocab, n = json_array_size(tokens);
    if (!decode(st, tokens)) {
        judge(st, "first step", HUGE_VAL, 0);
        return;
    }
    const float *last = st->logits + (n - 1) * n_vocab;
    double w = fabs(logsumexp(last, n_vocab) - golden_number(first, "logsumexp"));
    for (size_t i = 0; i < json_array_size(top); i++) {
        const json_t *pair = json_array_get(top, i);
        json_int_t id = json_integer_value(json_array_get(pair, 0));
        double want = json_number_value(json_array_get(pair, 1));
        w = fmax(w, id >= 0 && (size_t)id < n_vocab ? fabs((double)last[id] - want) : HUGE_VAL);
    }
    judge(st, "first logits", w, LOGITS);
    double p = exp((double)st->logits[v->nospeech] - logsumexp(st->logits, n_vocab));
    judge(st, "no speech", fabs(p - golden_number(first, "no_speech_prob")), PROBABILITY);
}

/* Every logit of the last positions, where the file has them: [positions][n_vocab], or [n_vocab]. */
static void check_all_logits(struct stages *st, const char *path, size_t n_tokens)
{
    struct pn_npy want;
    size_t n_vocab = (size_t)st->s->model->dims.n_vocab;
    FILE *f = fopen(path, "rb");
    if (!f)
        return;
    fclose(f);
    if (!pn_npy_load(path, &want))
        return;
    bool fits =
        want.f32 && want.n_dims >= 1 && want.dim[want.n_dims - 1] == n_vocab && want.n <= n_tokens * n_vocab;
    const float *got = st->logits + n_tokens * n_vocab - (fits ? want.n : 0);
    judge(st, "all logits", fits ? worst(got, want.f32, want.n) : HUGE_VAL, LOGITS);
    pn_npy_done(&want);
}

/* Of the window that decoding sees; transcribe() itself listens to another one. */
static void check_window_language(struct stages *st)
{
    const struct pn_vocab *v = st->s->model->vocab;
    const json_t *want = json_object_get(st->c->golden, "language_detect_zero_padded");
    int id = want ? pn_vocab_language(v, json_string_value(json_object_get(want, "language"))) : -1;
    if (id < 0)
        return;
    json_t *sot = json_pack("[i]", (int)v->sot);
    bool ok = decode(st, sot);
    json_decref(sot);
    double p =
        exp((double)st->logits[id] - logsumexp(st->logits + v->first_language, (size_t)v->n_languages));
    judge(st, "language (window)", ok ? fabs(p - golden_number(want, "prob")) : HUGE_VAL, PROBABILITY);
}

/* What transcribe() makes of the first 30 s, silence after the clip. */
static void check_language(struct stages *st)
{
    const struct pn_vocab *v = st->s->model->vocab;
    const json_t *want = json_object_get(json_object_get(st->c->golden, "language_detect"), "top");
    struct golden_options o = { 0 };
    float p[128];
    double w = 0;
    if (!want)
        return;
    for (size_t i = 0; i < PN_ARRAY_LEN(p); i++)
        p[i] = NAN;
    pn_transcribe_defaults(&o.o);
    o.o.n_temperatures = 1;
    pn_transcript_free(golden_transcribe(st->s, st->c, &o, p));
    for (size_t i = 0; i < json_array_size(want); i++) {
        const json_t *pair = json_array_get(want, i);
        int id = pn_vocab_language(v, json_string_value(json_array_get(pair, 0)));
        double d = id < 0
                       ? HUGE_VAL
                       : fabs((double)p[id - v->first_language] - json_number_value(json_array_get(pair, 1)));
        w = d > w || isnan(d) ? d : w;
    }
    judge(st, "language", w, PROBABILITY);
}

static bool begin(struct stages *st, const struct golden_session *s, const struct golden_clip *c)
{
    *st = (struct stages){ .s = s, .c = c };
    st->logits = calloc((size_t)MAX_TOKENS * (size_t)s->model->dims.n_vocab, sizeof(*st->logits));
    printf("%s %s stages:", s->name, c->name);
    if (st->logits && encode(st))
        return true;
    judge(st, "encoder", HUGE_VAL, 0);
    return false;
}

static int finish(struct stages *st)
{
    printf("\n");
    pn_encoder_run_free(st->run);
    pn_cross_unref(st->cross);
    free(st->logits);
    return st->failures;
}

int golden_stages(const struct golden_session *s, const struct golden_clip *c)
{
    struct stages st;
    char path[PN_FIXTURE_PATH];
    if (begin(&st, s, c)) {
        check_encoder(&st, "encoder", 1);
        check_encoder(&st, "encoder_every10", 10);
        check_encoder(&st, "encoder_every50", 50);
        check_first_step(&st);
        snprintf(path, sizeof(path), "%s/%s.first_logits.npy", c->folder, c->name);
        check_all_logits(
            &st, path, json_array_size(json_object_get(json_object_get(c->golden, "first_step"), "tokens")));
        check_window_language(&st);
        check_language(&st);
    }
    return finish(&st);
}

int golden_last_logits(const struct golden_session *s, const struct golden_clip *c, const json_t *tokens,
                       const char *npy_path)
{
    struct stages st;
    if (begin(&st, s, c)) {
        if (decode(&st, tokens))
            check_all_logits(&st, npy_path, json_array_size(tokens));
        else
            judge(&st, "teacher-forced", HUGE_VAL, 0);
    }
    return finish(&st);
}
