/* whisper_golden.c - Whisper from samples to transcript, compared with the reference's results as the
 * fixtures' README says.
 *
 *     whisper_golden [--precision f32|int8] [--model NAME] [--threads N]
 *
 * f32 (default): text and tokens equal, times and scores within tolerance, stages within theirs. int8: the
 * text is equal where the reference was sure (margin above 0.3); what else differs is listed. One line a run
 * and a summary; models that are not there are counted as skipped. Exit status 1 when something failed. */
#include "golden.h"

#include "fixtures.h"
#include "nn/pool.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAD_SAMPLES = 480000, MAX_FILES = 8 };

static const double SURE = 0.3; /* margin above which int8 may not change the text */

static const char *const MICRO_CLIPS[] = { "01", "02", "03", "04",           "05",     "06",
                                           "07", "08", "09", "long65sparse", "long70", NULL };
/* Of a form whose tensors are those of another, bit for bit (test_model_checkpoint): what is left to compare
 * is its vocabulary and its settings. */
static const char *const FORM_CLIPS[] = { "02", "07", "long65sparse", NULL };
#if PN_SANITIZED
static const char *const DATA_CLIPS[] = { "05", NULL }; /* each takes minutes */
#else
static const char *const DATA_CLIPS[] = { "01", "05", "09", NULL };
#endif
static const char *const RANDOM_EN[] = { "random-en.jfk", NULL };
static const char *const RANDOM_V3[] = { "random-v3.jfk", NULL };
static const char *const SECOND_CLIP[] = { "02", NULL };

/* A model in one of its forms. Folders are below `shared`, or below tests/data when `data` is set. */
struct variant {
    const char *name, *folder;
    const char *files[MAX_FILES]; /* .gz is taken off; the first one is opened, or their folder */
    bool data, is_folder;
    bool ranks;               /* has no vocabulary: it comes from a rank file */
    const char *quantised;    /* key in quantisation.json */
    const char *golden, *wav; /* folders; `wav` may name the one recording of all clips */
    const char *const *clips;
};

#define MICRO  .golden = "whisper/micro/golden", .wav = "whisper/micro/clips"
#define RANDOM .folder = "whisper/random", .golden = "whisper/random", .wav = "audio/jfk.wav", .ranks = true

static const struct variant VARIANTS[] = {
    { .name = "data.pt",
      .folder = ".",
      .files = { "micro.pt.gz", "micro.tiktoken" },
      .data = true,
      .golden = "golden",
      .wav = "clips",
      .clips = DATA_CLIPS },
    { .name = "micro.pt",
      .folder = "whisper/micro",
      .files = { "micro.pt.gz" },
      .ranks = true,
      .clips = MICRO_CLIPS,
      MICRO },
    { .name = "micro.hf",
      .folder = "whisper/micro/hf",
      .is_folder = true,
      .files = { "model.safetensors.gz", "config.json", "generation_config.json", "vocab.json.gz",
                 "merges.txt.gz", "tokenizer.json.gz", "added_tokens.json" },
      .clips = FORM_CLIPS,
      MICRO },
    { .name = "micro.f16.bin",
      .folder = "whisper/micro",
      .files = { "ggml-micro-f16.bin.gz" },
      .clips = FORM_CLIPS,
      MICRO },
    { .name = "micro.q8_0.bin",
      .folder = "whisper/micro",
      .files = { "ggml-micro-q8_0.bin.gz" },
      .quantised = "q8_0",
      .clips = SECOND_CLIP,
      MICRO },
    { .name = "micro.q5_0.bin",
      .folder = "whisper/micro",
      .files = { "ggml-micro-q5_0.bin.gz" },
      .quantised = "q5_0",
      .clips = SECOND_CLIP,
      MICRO },
    { .name = "random-en.pt", .files = { "random-en.pt.gz" }, .clips = RANDOM_EN, RANDOM },
    { .name = "random-v3.pt", .files = { "random-v3.pt.gz" }, .clips = RANDOM_V3, RANDOM },
};

struct tally {
    int runs, equal, near_ties, listed, sampled, failed, skipped;
};

struct settings {
    enum pn_precision precision;
    const char *only; /* model; NULL = all */
    int threads;
    struct tally tally;
};

static bool find(const struct variant *v, const char *folder, const char *name, char path[PN_FIXTURE_PATH])
{
    char joined[PN_FIXTURE_PATH];
    snprintf(joined, sizeof(joined), "%s/%s", folder, name);
    return v->data ? pn_fixture_data(joined, path) : pn_fixture_shared(joined, path);
}

/* Name of a file in the temporary folder: unpacked, and a rank file under the name that is looked for. */
static void unpacked_name(const char *dir, const char *file, char path[PN_FIXTURE_PATH])
{
    size_t len = strlen(file);
    bool gz = len > 3 && strcmp(file + len - 3, ".gz") == 0, ranks = strcmp(file, "micro.tiktoken") == 0;
    snprintf(path, PN_FIXTURE_PATH, "%s/%.*s", dir, gz ? (int)len - 3 : ranks ? 0 : (int)len, file);
    if (ranks)
        snprintf(path, PN_FIXTURE_PATH, "%s/multilingual.tiktoken", dir);
}

/* Copies the model's files into `dir`; false when one is missing. gunzip copies what is not packed as it is.
 */
static bool unpack(const struct variant *v, const char *dir)
{
    for (int i = 0; i < MAX_FILES && v->files[i]; i++) {
        char from[PN_FIXTURE_PATH], to[PN_FIXTURE_PATH];
        unpacked_name(dir, v->files[i], to);
        if (!find(v, v->folder, v->files[i], from) || !pn_fixture_gunzip(from, to))
            return false;
    }
    return true;
}

static struct golden_session close_session(struct golden_session s)
{
    pn_whisper_engine_free(s.engine);
    pn_whisper_close(s.model);
    pn_pool_free(s.pool);
    return (struct golden_session){ 0 };
}

static bool open_session(const struct variant *v, const struct settings *set, const char *dir,
                         struct golden_session *ret)
{
    struct golden_session s = { .name = v->name,
                                .strict = set->precision == PN_F32,
                                .exact = set->precision == PN_F32 && !v->quantised };
    char path[PN_FIXTURE_PATH], ranks[PN_FIXTURE_PATH] = "";
    struct pn_err err = { 0 };
    if (v->is_folder)
        snprintf(path, sizeof(path), "%s", dir);
    else
        unpacked_name(dir, v->files[0], path);
    if (v->ranks && !pn_fixture_shared("whisper/tokenizer", ranks))
        return false;
    struct pn_whisper_options opt = { .path = path,
                                      .name = "",
                                      .model_dir = ranks,
                                      .cache_dir = "",
                                      .precision = set->precision,
                                      .no_packed_file = true };
    int r = pn_pool_new(set->threads, &s.pool, &err);
    opt.pool = s.pool;
    if (r == 0)
        r = pn_whisper_open(&opt, &s.model, &err);
    if (r == 0)
        r = pn_whisper_engine_new(s.model, s.pool, &s.engine);
    if (r < 0) {
        printf("%s: FAILED to open: %s\n", v->name, err.text[0] ? err.text : pn_error_name(r));
        close_session(s);
        return false;
    }
    *ret = s;
    return true;
}

static bool read_features(const struct golden_session *s, const char *wav, struct pn_features **ret)
{
    float *pcm = NULL;
    size_t n;
    struct pn_features *f = NULL;
    if (!pn_fixture_wav(wav, &pcm, &n))
        return false;
    bool ok = pn_features_new(s->model->mel, &f) == 0 && pn_features_feed(f, pcm, n) == 0 &&
              pn_features_end(f, PAD_SAMPLES) == 0;
    free(pcm);
    if (ok)
        *ret = f;
    else
        pn_features_free(f);
    return ok;
}

static bool open_clip(const struct golden_session *s, const struct variant *v, const char *name,
                      char folder[PN_FIXTURE_PATH], struct golden_clip *ret)
{
    char file[128], path[PN_FIXTURE_PATH], wav[PN_FIXTURE_PATH];
    json_error_t error;
    bool one = strstr(v->wav, ".wav") != NULL;
    snprintf(file, sizeof(file), "%s.wav", name);
    if (!(one ? pn_fixture_shared(v->wav, wav) : find(v, v->wav, file, wav)))
        return false;
    snprintf(file, sizeof(file), "%s.json", name);
    if (!find(v, v->golden, file, path) || !find(v, v->golden, ".", folder))
        return false;
    *ret = (struct golden_clip){ .name = name, .folder = folder, .golden = json_load_file(path, 0, &error) };
    return ret->golden && read_features(s, wav, &ret->features);
}

static void close_clip(struct golden_clip *c)
{
    json_decref(c->golden);
    pn_features_free(c->features);
}

struct pn_transcript *golden_transcribe(const struct golden_session *s, const struct golden_clip *c,
                                        const struct golden_options *o, float *ret_language)
{
    struct pn_transcription *t = NULL;
    struct pn_transcript *result = NULL;
    struct pn_err err = { 0 };
    int r = o->window ? pn_transcription_new_window(s->engine, c->features, &o->o, &t, &err)
                      : pn_transcription_new(s->engine, c->features, &o->o, &t, &err);
    if (r == 0)
        r = pn_transcription_run(t, &err);
    if (r == 0)
        r = pn_transcription_result(t, &result, &err);
    const float *p = r == 0 ? pn_transcription_language_probs(t) : NULL;
    if (p && ret_language)
        memcpy(ret_language, p, (size_t)s->model->vocab->n_languages * sizeof(*p));
    if (r < 0)
        fprintf(stderr, "%s %s: %s\n", s->name, c->name, err.text[0] ? err.text : pn_error_name(r));
    pn_transcription_free(t);
    return result;
}

static void report(struct settings *set, const struct golden_session *s, const struct golden_clip *c,
                   const char *name, const json_t *run, const struct golden_difference *d)
{
    const json_t *margin = json_object_get(run, "min_margin");
    bool sure = margin && json_number_value(margin) > SURE && d->text_differs;
    if (d->text[0] == 0) {
        set->tally.equal++;
        printf("equal\n");
    } else if (s->exact && golden_is_near_tie(run, d)) {
        set->tally.near_ties++;
        printf("near-tie: %s\n", d->text);
    } else if (s->exact || sure) {
        set->tally.failed++;
        printf("FAILED: %s\n", d->text);
    } else {
        set->tally.listed++;
        printf("differs (margin %.3f%s): %s\n", json_number_value(margin), margin ? "" : ", not recorded",
               d->text);
    }
}

static void check_run(struct settings *set, const struct golden_session *s, const struct golden_clip *c,
                      const char *name, const json_t *run)
{
    struct golden_options o;
    struct golden_difference d;
    printf("%s %s %s: ", s->name, c->name, name);
    struct pn_transcript *got =
        golden_options_read(s->model->vocab, run, &o) ? golden_transcribe(s, c, &o, NULL) : NULL;
    set->tally.runs++;
    if (!got) {
        set->tally.failed++;
        printf("FAILED: no result\n");
    } else if (!json_is_true(json_object_get(run, "deterministic"))) {
        set->tally.sampled++;
        printf("ran, not compared (sampled)\n");
    } else {
        golden_compare(s, run, o.window, got, &d);
        report(set, s, c, name, run, &d);
    }
    pn_transcript_free(got);
}

static void check_clip(struct settings *set, const struct golden_session *s, const struct golden_clip *c)
{
    const char *name;
    json_t *run;
    set->tally.failed += golden_stages(s, c);
    json_object_foreach(json_object_get(c->golden, "runs"), name, run) check_run(set, s, c, name, run);
}

/* A quantised model's own golden: what the text and the scores are with its weights dequantised. */
static void check_quantised(struct settings *set, const struct golden_session *s, const struct variant *v,
                            const struct golden_clip *c)
{
    char path[PN_FIXTURE_PATH], file[64];
    struct golden_options o = { 0 };
    json_error_t error;
    json_t *all = find(v, v->golden, "quantisation.json", path) ? json_load_file(path, 0, &error) : NULL;
    const json_t *want = json_object_get(all, v->quantised);
    pn_transcribe_defaults(&o.o);
    o.o.n_temperatures = 1;
    struct pn_transcript *got = golden_transcribe(s, c, &o, NULL);
    bool text = got && want &&
                strcmp(got->n_segments ? got->segments[0].text : "",
                       json_string_value(json_object_get(want, "text"))) == 0;
    double score = text ? got->segments[0].avg_logprob : (double)NAN,
           apart = fabs(score - golden_number(want, "avg_logprob"));
    bool ok = text && (set->precision != PN_F32 || apart <= 5e-3);
    printf("%s %s: %s, avg_logprob %.4f (%.1e apart)\n", s->name, c->name, ok ? "equal" : "FAILED", score,
           apart);
    set->tally.runs++;
    set->tally.equal += ok;
    set->tally.failed += !ok;
    snprintf(file, sizeof(file), "%s.last_logits_%s.npy", c->name, v->quantised);
    if (find(v, v->golden, file, path))
        set->tally.failed += golden_last_logits(s, c, json_object_get(all, "teacher_tokens"), path);
    pn_transcript_free(got);
    json_decref(all);
}

static void check_clips(struct settings *set, const struct golden_session *s, const struct variant *v)
{
    for (const char *const *name = v->clips; *name; name++) {
        struct golden_clip c = { 0 };
        char folder[PN_FIXTURE_PATH];
        if (!open_clip(s, v, *name, folder, &c)) {
            set->tally.failed++;
            printf("%s %s: FAILED: the clip or its golden cannot be read\n", v->name, *name);
        } else if (v->quantised) {
            check_quantised(set, s, v, &c);
        } else {
            check_clip(set, s, &c);
        }
        close_clip(&c);
        fflush(stdout);
    }
}

static void check_variant(struct settings *set, const struct variant *v)
{
    char path[PN_FIXTURE_PATH], dir[PN_FIXTURE_PATH];
    struct golden_session s = { 0 };
    if (!find(v, v->folder, v->files[0], path)) {
        set->tally.skipped++;
        printf("%s: skipped: no %s/%s in PINNA_SHARED\n", v->name, v->folder, v->files[0]);
        return;
    }
    if (!pn_fixture_temp_dir(dir)) {
        set->tally.failed++;
        return;
    }
    if (unpack(v, dir) && open_session(v, set, dir, &s))
        check_clips(set, &s, v);
    else
        set->tally.failed++;
    close_session(s);
    pn_fixture_remove_dir(dir);
}

static bool read_arguments(struct settings *set, int argc, char **argv)
{
    int64_t threads;
    for (int i = 1; i < argc; i += 2) {
        struct pn_str value = pn_str(i + 1 < argc ? argv[i + 1] : "");
        if (strcmp(argv[i], "--precision") == 0 && pn_precision_parse(value, &set->precision) == 0)
            continue;
        if (strcmp(argv[i], "--threads") == 0 && pn_parse_i64(value, 1, 256, &threads) == 0) {
            set->threads = (int)threads;
            continue;
        }
        if (strcmp(argv[i], "--model") != 0 || value.len == 0)
            return false;
        set->only = value.ptr;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct settings set = { .precision = PN_F32, .threads = 2 };
    const struct tally *t = &set.tally;
    if (!read_arguments(&set, argc, argv)) {
        fprintf(stderr, "usage: whisper_golden [--precision f32|int8] [--model NAME] [--threads N]\n");
        return 2;
    }
    for (size_t i = 0; i < PN_ARRAY_LEN(VARIANTS); i++)
        if (!set.only || strcmp(set.only, VARIANTS[i].name) == 0)
            check_variant(&set, &VARIANTS[i]);
    printf("%s: %d runs: %d equal, %d near-ties, %d differ where they may, %d sampled; %d failures; %d "
           "models skipped\n",
           pn_precision_name(set.precision), t->runs, t->equal, t->near_ties, t->listed, t->sampled,
           t->failed, t->skipped);
    return t->failed > 0;
}
