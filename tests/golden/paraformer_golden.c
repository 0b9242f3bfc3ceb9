/* paraformer_golden.c - Paraformer from samples to transcript, compared with the reference's results stage by
 * stage as the fixtures' README says.
 *
 *     paraformer_golden [--precision f32|int8] [--data] [--threads N]
 *
 * f32 (default): encoder, weights, embeddings, log-probabilities within their tolerances; ids, text and times
 * equal. int8: the trained models' texts equal those of f32, which this program computes, too; differences of
 * the stages are only shown. --data: only what tests/data holds. One line a clip; exit status 1 when
 * something failed. */
#include "paraformer_capture.h"

#include "asr/paraformer/words.h"
#include "fixtures.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double TORN = 0.05; /* logits this close may change places in int8 */

struct settings {
    enum pn_precision precision;
    int threads;
    bool data;
    int runs, failed, skipped;
};

/* A model, its goldens and how it cuts audio. */
struct variant {
    const char *name,
        *golden; /* folders below paraformer/models and paraformer/golden, or tests/data/paraformer */
    bool trained;
    const struct pn_chunking *chunking;
};

#define CHUNKING(left, step, ahead, encoder, decoder) \
    (&(const struct pn_chunking){ left, step, ahead, encoder, decoder })

static const struct variant VARIANTS[] = {
    { "micro-offline", "micro-offline", true, NULL },
    { "rand-offline", "rand-offline", false, NULL },
    { "rand-seaco", "rand-seaco", false, NULL },
    { "micro-streaming", "micro-streaming/c0_10_5_lb4_1", true, CHUNKING(0, 10, 5, 4, 1) },
    { "micro-streaming", "micro-streaming/c0_10_5_lb4_0", true, CHUNKING(0, 10, 5, 4, 0) },
    { "micro-streaming", "micro-streaming/c0_10_5_lb0_0", true, CHUNKING(0, 10, 5, 0, 0) },
    { "micro-streaming", "micro-streaming/c5_10_5_lb4_1", true, CHUNKING(5, 10, 5, 4, 1) },
    { "micro-streaming", "micro-streaming/c0_8_4_lb4_1", true, CHUNKING(0, 8, 4, 4, 1) },
    { "rand-streaming", "rand-streaming/c0_10_5_lb4_1", false, CHUNKING(0, 10, 5, 4, 1) },
    { "rand-streaming", "rand-streaming/c0_10_5_lb0_0", false, CHUNKING(0, 10, 5, 0, 0) },
    { "rand-streaming", "rand-streaming/c0_10_5_lb1_2", false, CHUNKING(0, 10, 5, 1, 2) },
    { "rand-streaming", "rand-streaming/c0_10_5_lbm1_m1", false, CHUNKING(0, 10, 5, -1, -1) },
    { "rand-streaming", "rand-streaming/c0_8_4_lb4_1", false, CHUNKING(0, 8, 4, 4, 1) },
    { "rand-streaming", "rand-streaming/c5_10_5_lb1_0", false, CHUNKING(5, 10, 5, 1, 0) },
    { "rand-streaming", "rand-streaming/c5_10_5_lb4_1", false, CHUNKING(5, 10, 5, 4, 1) },
};

/* One clip of one variant. */
struct clip {
    const struct variant *v;
    const char *name;
    char folder[PN_FIXTURE_PATH];
    json_t *golden;
    float *pcm;
    size_t n;
    bool failed, strict;
};

static bool find(const struct settings *s, const char *part, const char *name, char path[PN_FIXTURE_PATH])
{
    char joined[PN_FIXTURE_PATH];
    (void)snprintf(joined, sizeof(joined), "paraformer/%s/%s", part, name);
    return s->data ? pn_fixture_data(joined, path) : pn_fixture_shared(joined, path);
}

static void complain(struct clip *c, const char *what, const char *detail)
{
    printf("  %s/%s: %s: %s\n", c->v->golden, c->name, what, detail);
    c->failed = true;
}

/* ---- running ---- */

static struct pn_recognizer *open_model(const char *path, enum pn_precision precision, struct pn_pool *pool)
{
    const struct pn_paraformer_options opt = { .path = path,
                                               .name = "",
                                               .cache_dir = "",
                                               .precision = precision,
                                               .no_packed_file = true,
                                               .pool = pool };
    struct pn_paraformer *p = NULL;
    struct pn_recognizer *r = NULL;
    struct pn_err err = { 0 };
    if (pn_paraformer_open(&opt, &p, &err) < 0 || pn_paraformer_recognizer_new(p, pool, &r, &err) < 0) {
        fprintf(stderr, "%s: %s\n", path, err.text);
        exit(1);
    }
    return r;
}

static void run_steps(struct pn_stream *s)
{
    const struct pn_recognizer_ops *ops = s->recognizer->ops;
    for (struct pn_work w = ops->next(s); w.phase != 0; w = ops->next(s))
        ops->step(s->recognizer, w.phase, &s, 1);
}

/* Feeds the clip in pieces of `piece` samples and turns the stream until it says no more. */
static struct pn_transcript *recognise(struct pn_recognizer *r, const struct clip *c, const char *hotwords,
                                       size_t piece)
{
    const struct pn_recognition want = { .language = "",
                                         .task = "transcribe",
                                         .chunking = c->v->chunking,
                                         .hotwords = hotwords,
                                         .word_timestamps = true };
    struct pn_stream *s = NULL;
    struct pn_transcript *t = NULL;
    struct pn_err err = { 0 };
    if (r->ops->open(r, &want, &s, &err) < 0)
        return NULL;
    s->recognizer = r;
    for (size_t at = 0; at < c->n; at += piece) {
        size_t n = PN_MIN(piece, c->n - at);
        if (r->ops->feed(s, c->pcm + at, n) < 0)
            return NULL;
        run_steps(s);
    }
    if (r->ops->finish(s) == 0)
        run_steps(s);
    if (r->ops->status(s, &err) != 1 || r->ops->result(s, &t, &err) < 0)
        fprintf(stderr, "%s: %s\n", c->name, err.text);
    r->ops->close(s);
    return t;
}

/* ---- comparing ---- */

static void compare_rows(struct clip *c, const char *file, const struct capture_rows *got, size_t rows,
                         double tolerance)
{
    char path[2 * PN_FIXTURE_PATH], text[120];
    struct pn_npy want = { 0 };
    double worst = 0;
    (void)snprintf(path, sizeof(path), "%s/%s.npy", c->folder, file);
    FILE *f = fopen(path, "rb");
    if (!f)
        return; /* not every clip has every stage */
    (void)fclose(f);
    if (!pn_npy_load(path, &want)) {
        complain(c, file, "cannot be read");
        return;
    }
    size_t n = PN_MIN(rows, got->rows) * got->width;
    if (want.n != n) {
        (void)snprintf(text, sizeof(text), "%zu numbers, not %zu", n, want.n);
        complain(c, file, text);
    }
    for (size_t i = 0; i < n && i < want.n; i++)
        worst = fmax(worst, fabs((double)got->at[i] - (double)want.f32[i]));
    pn_npy_done(&want);
    printf(" %s %.1e", file, worst);
    if (c->strict && !(worst <= tolerance)) {
        (void)snprintf(text, sizeof(text), "off by %.2e", worst);
        complain(c, file, text);
    }
}

static void compare_ids(struct clip *c, const json_t *want, const int32_t *got, size_t n)
{
    char text[160];
    if (json_array_size(want) != n) {
        (void)snprintf(text, sizeof(text), "%zu, not %zu", n, json_array_size(want));
        complain(c, "ids", text);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (json_integer_value(json_array_get(want, i)) == got[i])
            continue;
        (void)snprintf(text, sizeof(text), "id %zu is %d, not %d", i, got[i],
                       (int)json_integer_value(json_array_get(want, i)));
        complain(c, "ids", text);
        return;
    }
}

static void compare_text(struct clip *c, const char *want, const char *got)
{
    char text[300];
    if (want && strcmp(want, got) == 0)
        return;
    (void)snprintf(text, sizeof(text), "'%.120s', not '%.120s'", got, want ? want : "(none)");
    complain(c, "text", text);
}

/* Times of words, to a millisecond. */
static void compare_stamps(struct clip *c, const json_t *want, const struct pn_transcript *t)
{
    size_t n = t->n_segments ? t->segments[0].n_words : 0;
    char text[120];
    if (!json_is_array(want))
        return;
    if (json_array_size(want) != n) {
        (void)snprintf(text, sizeof(text), "%zu words, not %zu", n, json_array_size(want));
        complain(c, "times", text);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct pn_word *w = &t->segments[0].words[i];
        double begin = json_number_value(json_array_get(json_array_get(want, i), 0)) / 1000;
        double end = json_number_value(json_array_get(json_array_get(want, i), 1)) / 1000;
        if (fabs(w->start - begin) < 0.0015 && fabs(w->end - end) < 0.0015)
            continue;
        (void)snprintf(text, sizeof(text), "word %zu: %.3f-%.3f, not %.3f-%.3f", i, w->start, w->end, begin,
                       end);
        complain(c, "times", text);
        return;
    }
}

static void compare_offline(struct clip *c, const struct pn_transcript *t)
{
    const json_t *stamps = json_object_get(c->golden, "timestamp_sane");
    compare_rows(c, "encoder_out", &capture.encoder, SIZE_MAX, 1e-4);
    /* The reference's weights have the tail's behind them. */
    struct capture_rows alpha = { .width = 1 };
    alpha.at = malloc((capture.alpha.rows + 1) * sizeof(float));
    if (alpha.at && capture.alpha.rows > 0) {
        memcpy(alpha.at, capture.alpha.at, capture.alpha.rows * sizeof(float));
        alpha.at[capture.alpha.rows] = 0.45f;
        alpha.rows = capture.alpha.rows + 1;
        compare_rows(c, "alphas", &alpha, SIZE_MAX, 1e-5);
    }
    free(alpha.at);
    compare_rows(c, "acoustic_embeds", &capture.embeds, SIZE_MAX, 1e-4);
    compare_rows(c, "logprobs", &capture.logprob, SIZE_MAX, 1e-3);
    compare_ids(c, json_object_get(c->golden, "argmax_ids"), capture.ids, capture.n_ids);
    compare_text(c, json_string_value(json_object_get(c->golden, "text_no_timestamp")), t->text);
    compare_stamps(c, stamps ? stamps : json_object_get(c->golden, "timestamp"), t);
}

/* Chunk by chunk: rows, weights that count, tokens. */
static void compare_chunks(struct clip *c)
{
    const json_t *chunks = json_object_get(c->golden, "chunks"), *chunk;
    size_t i, ids = 0, rows = 0;
    char text[120];
    if (json_array_size(chunks) != capture.n_chunks) {
        (void)snprintf(text, sizeof(text), "%zu, not %zu", capture.n_chunks, json_array_size(chunks));
        complain(c, "chunks", text);
        return;
    }
    json_array_foreach(chunks, i, chunk)
    {
        const json_t *alpha = json_object_get(chunk, "alphas_masked");
        size_t tokens = (size_t)json_integer_value(json_object_get(chunk, "tokens_fired"));
        for (size_t k = 0; k < json_array_size(alpha); k++) {
            double want = json_number_value(json_array_get(alpha, k));
            if (want != 0 && fabs(want - (double)capture.alpha.at[rows + k]) > (c->strict ? 2e-5 : 0.2))
                complain(c, "weights", "a chunk's differ");
        }
        rows += (size_t)capture.chunk[i].rows;
        if (capture.chunk[i].rows != json_integer_value(json_object_get(chunk, "enc_rows")))
            complain(c, "chunk", "another number of rows");
        if (c->strict && (size_t)capture.chunk[i].tokens != tokens)
            complain(c, "chunk", "another number of tokens");
        const json_t *want = json_object_get(chunk, "argmax_ids");
        double gap = json_number_value(json_object_get(chunk, "min_top2_gap"));
        if (c->strict && tokens > 0 && gap > 1e-3)
            compare_ids(c, want, capture.ids + ids, (size_t)capture.chunk[i].tokens);
        ids += (size_t)capture.chunk[i].tokens;
    }
}

static void compare_live(struct clip *c, const struct pn_transcript *t)
{
    if (json_object_get(c->golden, "chunks"))
        compare_chunks(c);
    compare_rows(c, "encoder_out", &capture.encoder, SIZE_MAX, 1e-4);
    compare_rows(c, "acoustic_embeds", &capture.embeds, SIZE_MAX, 1e-4);
    compare_rows(c, "logprobs", &capture.logprob, SIZE_MAX, 1e-3);
    compare_text(c, json_string_value(json_object_get(c->golden, "one_call_text")), t->text);
}

/* All words with one blank between them, as the reference has them when it tells times. */
static void join_words(const struct pn_transcript *t, char *out, size_t cap)
{
    size_t n = t->n_segments ? t->segments[0].n_words : 0, at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n && at < cap; i++) {
        const char *word = t->segments[0].words[i].text;
        at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? " " : "", word + (word[0] == ' '));
    }
}

/* The model's own hot words. */
static void compare_hotwords(struct clip *c, struct pn_recognizer *r)
{
    const json_t *hot = json_object_get(c->golden, "hotword");
    if (!hot)
        return;
    char text[4096] = "";
    struct pn_transcript *t = recognise(r, c, json_string_value(json_object_get(hot, "hotword")), c->n);
    if (t)
        join_words(t, text, sizeof(text));
    compare_text(c, json_string_value(json_object_get(hot, "text")), text);
    pn_transcript_free(t);
}

static void check_f32(struct clip *c, struct pn_recognizer *r)
{
    capture_clear();
    struct pn_transcript *t = recognise(r, c, NULL, 1000);
    if (!t)
        complain(c, "recogniser", "no result");
    else if (c->v->chunking)
        compare_live(c, t);
    else
        compare_offline(c, t);
    pn_transcript_free(t);
    compare_hotwords(c, r);
}

/* The smallest distance between the reference's best and second best token, of all chunks. */
static double least_gap(const json_t *golden)
{
    const json_t *gap = json_object_get(golden, "min_top2_gap"), *chunk;
    double least = gap ? json_number_value(gap) : INFINITY;
    size_t i;
    json_array_foreach(json_object_get(golden, "chunks"), i, chunk)
    {
        gap = json_object_get(chunk, "min_top2_gap");
        least = gap ? fmin(least, json_number_value(gap)) : least;
    }
    return least;
}

/* The trained models' texts. A difference is a failure unless the reference itself was torn. */
static void check_int8(struct clip *c, struct pn_recognizer *r)
{
    const char *key = c->v->chunking ? "one_call_text" : "text_no_timestamp";
    const char *want = json_string_value(json_object_get(c->golden, key));
    c->strict = false;
    capture_clear();
    struct pn_transcript *t = recognise(r, c, NULL, 1000);
    if (t)
        compare_rows(c, "encoder_out", &capture.encoder, SIZE_MAX, 0);
    if (!t)
        complain(c, "recogniser", "no result");
    else if (c->v->trained && want && strcmp(want, t->text) != 0 && least_gap(c->golden) < TORN)
        printf(" '%s', not '%s', where two tokens are %.4f apart", t->text, want, least_gap(c->golden));
    else if (c->v->trained)
        compare_text(c, want, t->text);
    pn_transcript_free(t);
}

/* ---- clips and models ---- */

static bool open_clip(const struct settings *s, struct clip *c)
{
    char path[2 * PN_FIXTURE_PATH], name[64];
    json_error_t why;
    (void)snprintf(path, sizeof(path), "%s/result.json", c->folder);
    c->golden = json_load_file(path, 0, &why);
    (void)snprintf(name, sizeof(name), "%s.wav", c->name);
    return c->golden && find(s, "wav", name, path) && pn_fixture_wav(path, &c->pcm, &c->n);
}

static void run_clip(struct settings *s, const struct variant *v, struct pn_recognizer *r, const char *folder,
                     const char *name)
{
    struct clip c = { .v = v, .name = name, .strict = s->precision == PN_F32 && !(s->data && v->trained) };
    if ((size_t)snprintf(c.folder, sizeof(c.folder), "%s/%s", folder, name) >= sizeof(c.folder) ||
        !open_clip(s, &c)) {
        complain(&c, "golden", "cannot be read");
    } else {
        printf("%s/%s:", v->golden, name);
        if (s->precision == PN_F32)
            check_f32(&c, r);
        else
            check_int8(&c, r);
        printf("\n");
    }
    s->runs++;
    s->failed += c.failed;
    json_decref(c.golden);
    free(c.pcm);
}

static int is_folder(const struct dirent *d)
{
    return d->d_name[0] != '.' && !strchr(d->d_name, '.');
}

static void run_variant(struct settings *s, const struct variant *v, struct pn_pool *pool)
{
    char model[PN_FIXTURE_PATH], golden[PN_FIXTURE_PATH];
    struct dirent **names = NULL;
    int n = find(s, "models", v->name, model) && find(s, "golden", v->golden, golden)
                ? scandir(golden, &names, is_folder, alphasort)
                : -1;
    if (n < 0) {
        printf("%s: skipped, it is not here\n", v->golden);
        s->skipped++;
        return;
    }
    struct pn_recognizer *r = open_model(model, s->precision, pool);
    for (int i = 0; i < n; i++) {
        run_clip(s, v, r, golden, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    r->ops->free(r);
}

static bool read_arguments(int argc, char **argv, struct settings *s)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--data") == 0)
            s->data = true;
        else if (strcmp(argv[i], "--precision") == 0 && i + 1 < argc) {
            if (pn_precision_parse(pn_str(argv[++i]), &s->precision) < 0)
                return false;
        } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            s->threads = (int)strtol(argv[++i], NULL, 10);
        else
            return false;
    }
    return s->threads >= 1 && s->threads <= 64;
}

int main(int argc, char **argv)
{
    struct settings s = { .precision = PN_F32, .threads = 2 };
    struct pn_pool *pool = NULL;
    if (!read_arguments(argc, argv, &s) || pn_pool_new(s.threads, &pool, NULL) < 0) {
        fprintf(stderr, "usage: paraformer_golden [--precision f32|int8] [--data] [--threads N]\n");
        return 2;
    }
    for (size_t i = 0; i < PN_ARRAY_LEN(VARIANTS); i++)
        run_variant(&s, &VARIANTS[i], pool);
    capture_clear();
    pn_pool_free(pool);
    printf("%s: %d clips, %d failed, %d sets skipped\n", pn_precision_name(s.precision), s.runs, s.failed,
           s.skipped);
    return s.failed > 0 ? 1 : s.runs == 0 ? 77 : 0; /* 77: skipped */
}
