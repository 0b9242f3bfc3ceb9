/* check.c - random data, guarded buffers and comparison for the kernel tests. */
#include "check.h"

#include "base/splitmix.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GUARD = 256, /* bytes of canary on each side: more than any vector is long */
    CANARY = 0x5c,
    FILL = 0xa5,
    SHOWN = 20 /* failures printed for one level */
};

bool pn_check_report(struct pn_check *c, bool ok, const char *file, int line, const char *fmt, ...)
{
    c->checks++;
    if (ok)
        return true;
    if (c->failed++ < SHOWN) {
        va_list ap;
        va_start(ap, fmt);
        fprintf(stderr, "%s:%d: level %s: ", file, line, c->level);
        vfprintf(stderr, fmt, ap);
        fputc('\n', stderr);
        va_end(ap);
    }
    return false;
}

bool pn_check_close(struct pn_check *c, const float *want, const float *got, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++) {
        double w = want[i], g = got[i];
        if ((isnan(w) && isnan(g)) || w == g)
            continue;
        if (!(fabs(w - g) <= tolerance * fmax(1, fabs(w)))) {
            if (c->failed < SHOWN)
                fprintf(stderr, "  [%zu of %zu] want %.9g, got %.9g\n", i, n, w, g);
            return false;
        }
    }
    return true;
}

uint64_t pn_check_random(struct pn_check *c)
{
    return pn_splitmix64(&c->rng);
}

int pn_check_int(struct pn_check *c, int lo, int hi)
{
    return lo + (int)(pn_check_random(c) % (uint64_t)(hi - lo + 1));
}

float pn_check_float(struct pn_check *c)
{
    return (float)(pn_check_random(c) >> 40) * 0x1p-23f - 1.0f;
}

void pn_check_floats(struct pn_check *c, float *x, size_t n, float scale)
{
    for (size_t i = 0; i < n; i++)
        x[i] = scale * pn_check_float(c);
}

void *pn_check_alloc(struct pn_check *c, size_t size, size_t misalign)
{
    size_t block_size = (GUARD + misalign + size + GUARD + 63) / 64 * 64;
    unsigned char *block = aligned_alloc(64, block_size);
    if (!block || c->n_buffers == PN_CHECK_BUFFERS) {
        fprintf(stderr, "out of memory or buffers\n");
        exit(1);
    }
    memset(block, CANARY, block_size);
    memset(block + GUARD + misalign, FILL, size);
    c->buffers[c->n_buffers++] = (struct pn_check_buffer){ block, size, GUARD + misalign, block_size };
    return block + GUARD + misalign;
}

static bool intact(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != CANARY)
            return false;
    return true;
}

void pn_check_release(struct pn_check *c, const char *what)
{
    for (int i = 0; i < c->n_buffers; i++) {
        struct pn_check_buffer *b = &c->buffers[i];
        size_t end = b->offset + b->size;
        CHECK(c, intact(b->block, b->offset), "%s: bytes before buffer %d were written", what, i);
        CHECK(c, intact(b->block + end, b->block_size - end), "%s: bytes behind buffer %d were written", what,
              i);
        free(b->block);
    }
    c->n_buffers = 0;
}
