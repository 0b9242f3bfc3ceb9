/* fuzz_features.c - log-mel rows of odd clips: any length, padding and pieces; rows are finite and do not
 * depend on the pieces. The input: padding (2 bytes), bins (1), piece (1), then 8-bit samples. */
#include "audio/mel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 4, MAX_SAMPLES = 8192, ROWS = 8 };

static struct pn_features *make(const struct pn_mel *m, const float *pcm, size_t n, size_t piece, size_t pad)
{
    struct pn_features *f = NULL;
    if (pn_features_new(m, &f) < 0)
        abort();
    for (size_t at = 0; at < n; at += piece)
        if (pn_features_feed(f, pcm + at, PN_MIN(piece, n - at)) < 0)
            abort();
    if (pn_features_end(f, pad) < 0)
        abort();
    return f;
}

static void compare(const struct pn_features *a, const struct pn_features *b, int64_t frames, int bins)
{
    float x[ROWS * 256], y[ROWS * 256];
    for (int64_t from = 0; from <= frames; from += ROWS) {
        pn_features_read(a, from, ROWS, x);
        pn_features_read(b, from, ROWS, y);
        if (memcmp(x, y, (size_t)(ROWS * bins) * sizeof(*x)) != 0)
            abort();
        for (int i = 0; i < ROWS * bins; i++)
            if (!isfinite(x[i]))
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    float pcm[MAX_SAMPLES];
    struct pn_mel *m = NULL;
    if (size < HEADER)
        return 0;
    size_t n = PN_MIN(size - HEADER, (size_t)MAX_SAMPLES), pad = data[0] | (size_t)data[1] << 8;
    int bins = data[2] ? data[2] : 256;
    for (size_t i = 0; i < n; i++)
        pcm[i] = (float)((int)data[HEADER + i] - 128) / 128.0F;
    if (pn_mel_new(bins, &m) < 0)
        abort();
    struct pn_features *whole = make(m, pcm, n, MAX_SAMPLES, pad),
                       *pieces = make(m, pcm, n, data[3] + 1U, pad);
    if (pn_features_samples(whole) != (int64_t)n)
        abort();
    compare(whole, pieces, (int64_t)(n + pad) / PN_MEL_HOP + 1, bins);
    pn_features_free(whole);
    pn_features_free(pieces);
    pn_mel_free(m);
    return 0;
}
