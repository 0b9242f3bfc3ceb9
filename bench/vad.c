/* vad.c - what a detector hears, and what that costs.
 *
 *     bench_vad MODEL [--end-silence MS] [--noise KIND SECONDS DB]... [FILE.wav]...
 *
 * MODEL is a ModelScope folder, a ggml file, or - for energy alone. Prints a line for each recording (16 kHz,
 * one channel, 16 bits) or noise (noises.h) with its segments in seconds, then the share of one core that
 * listening in pieces of 60 ms took and the memory of a stream that is in use. */
#include "asr/vad/vad.h"
#include "audio/wav.h"
#include "base/str.h"
#include "noises.h"
#include "timing.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 960, RATE = 16000 };

struct bench {
    struct pn_vad_model *model;
    struct pn_vad *vad;
    struct pn_vad_options opt;
    double audio, cpu; /* seconds */
    size_t memory;     /* the most that a stream held, in bytes */
};

static void print_events(struct bench *b)
{
    struct pn_vad_event e;
    while (pn_vad_next(b->vad, &e))
        printf(e.start ? " %.3f-" : "%.3f", (double)e.sample / RATE);
}

static bool listen(struct bench *b, const float *pcm, size_t n)
{
    double before = bench_cpu_time();
    for (size_t at = 0; at < n; at += PIECE)
        if (pn_vad_feed(b->vad, pcm + at, PN_MIN(n - at, (size_t)PIECE)) < 0)
            return false;
    b->cpu += bench_cpu_time() - before;
    b->audio += (double)n / RATE;
    print_events(b);
    return true;
}

static bool begin(struct bench *b, const char *name)
{
    printf("%s:", name);
    return pn_vad_new(b->model, &b->opt, &b->vad) == 0;
}

static bool finish(struct bench *b)
{
    size_t with = mallinfo2().uordblks;
    bool fine = pn_vad_end(b->vad) == 0;
    print_events(b);
    printf("\n");
    b->vad = pn_vad_free(b->vad);
    b->memory = PN_MAX(b->memory, with - mallinfo2().uordblks);
    return fine;
}

static bool noise(struct bench *b, const char *kind, const char *seconds, const char *db)
{
    enum pn_noise_kind k;
    int64_t s, level;
    float pcm[PIECE];
    if (!pn_noise_kind_of(kind, &k) || pn_parse_i64(pn_str(seconds), 1, 1000000, &s) < 0 ||
        pn_parse_i64(pn_str(db), -96, 0, &level) < 0 || !begin(b, kind))
        return false;
    struct pn_noise source = pn_noise_start(k, (double)level, (uint64_t)s);
    for (int64_t at = 0; at < s * RATE; at += PIECE) {
        pn_noise_next(&source, pcm, PIECE);
        if (!listen(b, pcm, PIECE))
            return false;
    }
    return finish(b);
}

static int16_t *read_samples(const char *path, struct pn_wav *wav)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC); /* checksrc: a benchmark reads its recordings itself */
    int16_t *samples = NULL;
    if (fd >= 0 && fstat(fd, &st) == 0 && pn_wav_find(fd, st.st_size, wav)) {
        samples = malloc((size_t)wav->len);
        if (samples && pread(fd, samples, (size_t)wav->len, wav->pos) != wav->len) {
            free(samples);
            samples = NULL;
        }
    }
    if (fd >= 0)
        close(fd);
    return samples;
}

static bool recording(struct bench *b, const char *path)
{
    struct pn_wav wav;
    int16_t *samples = read_samples(path, &wav);
    size_t n = samples ? (size_t)wav.len / sizeof(*samples) : 0;
    float *pcm = malloc((n + 1) * sizeof(*pcm));
    for (size_t i = 0; pcm && i < n; i++)
        pcm[i] = (float)samples[i] / 32768;
    bool fine = samples && pcm && begin(b, path) && listen(b, pcm, n) && finish(b);
    free(samples);
    free(pcm);
    return fine;
}

static bool run(struct bench *b, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        int64_t ms;
        if (strcmp(argv[i], "--end-silence") == 0 && i + 1 < argc) {
            if (pn_parse_i64(pn_str(argv[++i]), 1, 60000, &ms) < 0)
                return false;
            b->opt.end_silence_ms = (int)ms;
        } else if (strcmp(argv[i], "--noise") == 0 && i + 3 < argc) {
            if (!noise(b, argv[i + 1], argv[i + 2], argv[i + 3]))
                return false;
            i += 3;
        } else if (!recording(b, argv[i])) {
            (void)fprintf(stderr, "bench_vad: cannot listen to %s\n", argv[i]);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct bench b = { 0 };
    struct pn_err err = { 0 };
    if (argc < 3) {
        (void)fprintf(stderr,
                      "usage: bench_vad MODEL|- [--end-silence MS] [--noise KIND SECONDS DB]... [WAV]...\n");
        return 2;
    }
    if (pn_vad_model_open(strcmp(argv[1], "-") == 0 ? NULL : argv[1], &b.model, &err) < 0) {
        (void)fprintf(stderr, "bench_vad: %s\n", err.text);
        return 1;
    }
    bool fine = run(&b, argc - 2, argv + 2);
    printf("%s: %.1f s of audio, %.3f %% of a core, a stream holds %zu KB\n", pn_vad_model_name(b.model),
           b.audio, b.audio > 0 ? 100 * b.cpu / b.audio : 0, b.memory / 1024);
    pn_vad_free(b.vad);
    pn_vad_model_close(b.model);
    return fine ? 0 : 1;
}
