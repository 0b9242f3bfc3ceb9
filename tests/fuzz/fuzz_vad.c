/* fuzz_vad.c - each detector, with a random model of its own, on any samples in any pieces: boundaries
 * alternate, keep their order and what was called settled, and do not depend on the pieces. The input:
 * detector, threshold, five options, piece (1 byte each), then samples as they lie in memory, each ten times.
 */
#include "../../bench/random_paraformer.h"
#include "../../bench/random_silero.h"
#include "asr/vad/vad.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 8, MAX_SAMPLES = 12000, REPEAT = 10, MAX_EVENTS = 1000 };

static struct pn_vad_model *models[3];

static void must(int r, const struct pn_err *err)
{
    if (r < 0) {
        (void)fprintf(stderr, "%s\n", err->text);
        abort();
    }
}

static void make_models(const char *folder)
{
    static const char *const FILES[] = {
        "vad/model.pt", "vad/config.yaml", "vad/configuration.json", "vad/am.mvn", "vad", "silero"
    };
    struct pn_random_sizes sizes;
    struct pn_err err = { 0 };
    char path[128];
    must(pn_vad_model_open(NULL, &models[0], &err), &err);
    (void)snprintf(path, sizeof(path), "%s/silero", folder);
    must(pn_random_silero_write(path, 1, &err), &err);
    must(pn_vad_model_open(path, &models[1], &err), &err);
    (void)snprintf(path, sizeof(path), "%s/vad", folder);
    if (!pn_random_sizes_of("vad", &sizes))
        abort();
    must(pn_random_folder_write(path, &sizes, 1, &err), &err);
    must(pn_vad_model_open(path, &models[2], &err), &err);
    for (size_t i = 0; i < PN_ARRAY_LEN(FILES); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, FILES[i]);
        (void)remove(path);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char folder[] = "/tmp/pinna-fuzz-vad-XXXXXX";
    if (!mkdtemp(folder))
        abort();
    make_models(folder);
    (void)rmdir(folder);
    return 0;
}

struct heard {
    struct pn_vad_event at[MAX_EVENTS];
    size_t n;
};

static void note(struct pn_vad *v, struct heard *h, int64_t settled)
{
    struct pn_vad_event e;
    while (pn_vad_next(v, &e)) {
        int64_t before = h->n ? h->at[h->n - 1].sample : 0;
        if (h->n == MAX_EVENTS || e.start != (h->n % 2 == 0) || e.sample < before || e.sample < settled)
            abort();
        h->at[h->n++] = e;
    }
}

static void listen(const struct pn_vad_model *m, const struct pn_vad_options *opt, const float *pcm, size_t n,
                   size_t piece, struct heard *h)
{
    struct pn_vad *v = NULL;
    int64_t settled = 0;
    h->n = 0;
    if (pn_vad_new(m, opt, &v) < 0)
        abort();
    for (size_t at = 0; at < n; at += piece) {
        if (pn_vad_feed(v, pcm + at, PN_MIN(piece, n - at)) < 0)
            abort();
        note(v, h, settled);
        if (pn_vad_settled(v) < settled)
            abort();
        settled = pn_vad_settled(v);
    }
    if (pn_vad_end(v) < 0)
        abort();
    note(v, h, settled);
    if (h->n % 2 != 0 || (h->n && h->at[h->n - 1].sample > (int64_t)n))
        abort();
    pn_vad_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float pcm[MAX_SAMPLES];
    static struct heard whole, pieces;
    if (size < HEADER)
        return 0;
    const struct pn_vad_model *m = models[data[0] % 3];
    struct pn_vad_options opt = { .threshold = (float)data[1] / 255,
                                  .min_speech_ms = data[2] * 2,
                                  .end_silence_ms = data[3] * 4,
                                  .max_speech_ms = data[4] * 16,
                                  .pad_ms = data[5] * 2,
                                  .dynamic_silence = data[6] & 1 };
    size_t n = PN_MIN((size - HEADER) / sizeof(*pcm) * REPEAT, (size_t)MAX_SAMPLES);
    for (size_t i = 0; i < n; i++)
        memcpy(&pcm[i], data + HEADER + i / REPEAT * sizeof(*pcm), sizeof(*pcm));
    listen(m, &opt, pcm, n, MAX_SAMPLES, &whole);
    listen(m, &opt, pcm, n, data[7] * 8U + 1, &pieces);
    if (whole.n != pieces.n)
        abort();
    for (size_t i = 0; i < whole.n; i++)
        if (whole.at[i].start != pieces.at[i].start || whole.at[i].sample != pieces.at[i].sample)
            abort();
    return 0;
}
