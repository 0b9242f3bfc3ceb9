/* check.h - the tools of the kernel tests: random and extreme data, buffers between canaries, comparison.
 *
 * Every level's kernels are held against portable C on the same data. A check_*.c file has one entry,
 * called once a level; it reports through CHECK and goes on, so that one run shows all that is wrong. */
#ifndef PN_TESTS_KERNELS_CHECK_H
#define PN_TESTS_KERNELS_CHECK_H

#include "base/attr.h"
#include "nn/kern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PN_CHECK_BUFFERS = 32 };

struct pn_check_buffer {
    unsigned char *block;
    size_t size, offset; /* of the caller's bytes in the block */
    size_t block_size;
};

struct pn_check {
    const char *level;         /* of `kern`: "avx2" */
    const struct pn_kern *ref; /* portable C */
    const struct pn_kern *kern;
    uint64_t rng;
    int checks, failed;
    struct pn_check_buffer buffers[PN_CHECK_BUFFERS];
    int n_buffers;
};

/* Counts, and prints the first few failures: CHECK(c, want == got, "gemm m=%d", m). */
#define CHECK(c, ok, ...) pn_check_report(c, ok, __FILE__, __LINE__, __VA_ARGS__)
bool pn_check_report(struct pn_check *c, bool ok, const char *file, int line, const char *fmt, ...)
    PN_PRINTF(5, 6);
/* All n values within `tolerance` * max(1, |want|) of each other; NaN equals NaN. */
bool pn_check_close(struct pn_check *c, const float *want, const float *got, size_t n, double tolerance);

/* Random numbers: the same for the same seed on every machine. */
uint64_t pn_check_random(struct pn_check *c);
int pn_check_int(struct pn_check *c, int lo, int hi); /* both included */
float pn_check_float(struct pn_check *c);             /* in [-1, 1) */
void pn_check_floats(struct pn_check *c, float *x, size_t n, float scale);

/* `size` bytes at `misalign` past a 64-byte boundary (0: aligned), with canaries before and behind; all bytes
 * are set to 0xa5. Lives until pn_check_release, which also checks the canaries of all of them. */
void *pn_check_alloc(struct pn_check *c, size_t size, size_t misalign);
void pn_check_release(struct pn_check *c, const char *what);

/* The checks, one file each. */
void pn_check_linear(struct pn_check *c);
void pn_check_vec(struct pn_check *c);
void pn_check_attention(struct pn_check *c);
void pn_check_small_attention(struct pn_check *c);
void pn_check_sequence(struct pn_check *c);
/* These do not depend on the level and run once. */
void pn_check_pool(struct pn_check *c);
void pn_check_layers(struct pn_check *c);
void pn_check_lstm(struct pn_check *c);
void pn_check_widths(struct pn_check *c);

#endif
