/* fixtures.h - test data: where it lies, and reading it.
 *
 * tests/data/ comes with the sources. The larger material lies in $PINNA_SHARED/fixtures (default: ../shared
 * beside the source tree) and may be missing: its tests are skipped then, and say so. Functions print what is
 * wrong to stderr and return false; nothing here trusts a file's own sizes. */
#ifndef PN_TESTS_FIXTURES_H
#define PN_TESTS_FIXTURES_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PN_FIXTURE_PATH = 1024 };

/* Path of a file or folder below $PINNA_SHARED/fixtures ("whisper/mel/jfk.mel80.npy"); false, silently, when
 * it is not there. */
bool pn_fixture_shared(const char *name, char path[PN_FIXTURE_PATH]);
/* The same for tests/data. */
bool pn_fixture_data(const char *name, char path[PN_FIXTURE_PATH]);

/* Skips the running cmocka test when the shared file is missing. */
#define PN_SHARED_OR_SKIP(name, path)                                \
    do {                                                             \
        if (!pn_fixture_shared(name, path)) {                        \
            print_message("skipped: no %s in PINNA_SHARED\n", name); \
            skip();                                                  \
        }                                                            \
    } while (0)

/* The whole file (at most 512 MB) into `out`, which it initialises; pn_buf_done() it. */
bool pn_fixture_read(const char *path, struct pn_buf *out);
/* Unpacks a gzip file to `path`, which is replaced. */
bool pn_fixture_gunzip(const char *gz_path, const char *path);
/* A fresh folder below TMPDIR; remove() takes the files in it, too (no folders inside). */
bool pn_fixture_temp_dir(char path[PN_FIXTURE_PATH]);
void pn_fixture_remove_dir(const char *path);

/* NumPy array in C order, format 1.0: little-endian f4 or i2 (the other pointer is NULL). */
struct pn_npy {
    size_t n_dims, dim[4], n; /* n: elements */
    float *f32;
    int16_t *s16;
};

bool pn_npy_load(const char *path, struct pn_npy *ret);
void pn_npy_done(struct pn_npy *a);

/* A 16 kHz mono 16-bit WAV file as samples in [-1, 1); free() *ret. */
bool pn_fixture_wav(const char *path, float **ret, size_t *ret_n);

#endif
