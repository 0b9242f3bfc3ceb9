/* whisper_case.h - models, engines and windows for the tests of the Whisper engine. Everything asserts. */
#ifndef PN_TESTS_WHISPER_CASE_H
#define PN_TESTS_WHISPER_CASE_H

#include "asr/whisper/decoder.h"
#include "fixtures.h"

#include "../../bench/random_model.h"
#include "../../bench/random_numbers.h"

/* An opened model with its threads. */
struct whisper_case {
    struct pn_pool *pool;
    struct pn_whisper *w;
    struct pn_whisper_engine *e;
};

/* A Whisper of 2 + 2 layers, 128 wide, with short contexts: 100 and 32 positions. */
struct pn_whisper_dims whisper_small_dims(void);
/* A fresh folder with a random model of `d`, `dir`/random.bin, into `path`. */
void whisper_random_file(const struct pn_whisper_dims *d, char dir[PN_FIXTURE_PATH],
                         char path[PN_FIXTURE_PATH]);

/* The trained micro model of tests/data with its rank file, unpacked into a fresh folder. */
void whisper_micro_file(char dir[PN_FIXTURE_PATH], char path[PN_FIXTURE_PATH]);

/* The shared micro model as a Hugging Face folder, unpacked into a fresh one; it must be there. */
void whisper_hf_folder(char dir[PN_FIXTURE_PATH]);

/* Without a packed file. Rank files are looked for beside the model and in the shared folder. */
void whisper_case_open(struct whisper_case *c, const char *path, enum pn_precision p, int threads);
void whisper_case_close(struct whisper_case *c);

/* One window through the encoder in steps of `budget_us`. `mel` is [2 * n_ctx][n_mels]; `output` gets
 * [n_ctx][S] unless it is NULL. The cross is the caller's. */
struct pn_cross *whisper_encode(const struct whisper_case *c, const float *mel, int n_ctx, int64_t budget_us,
                                float *output);
/* Noise as a window's features; free() it. */
float *whisper_noise(const struct whisper_case *c, uint64_t seed, int n_ctx);
/* The decode view of a WAV file: its frames, then zeros, [3000][n_mels]; free() it. */
float *whisper_window(const struct whisper_case *c, const char *wav);

double whisper_cosine(const float *a, const float *b, size_t n);
double whisper_max_diff(const float *a, const float *b, size_t n);
void *whisper_alloc(size_t n, size_t size);
void whisper_copy_file(const char *from, const char *to);

#endif
