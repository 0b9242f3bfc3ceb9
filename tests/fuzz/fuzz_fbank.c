/* fuzz_fbank.c - filter bank rows of odd clips: any samples (NaN, infinite), any pieces and shapes; rows are
 * finite and do not depend on the pieces. The input: lfr_m, lfr_n, bins, piece (1 byte each), then samples as
 * they lie in memory. */
#include "audio/fbank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 4, MAX_SAMPLES = 4096, MAX_ROWS = 32, MAX_WIDTH = 16 * 128 };

static size_t rows_of(const struct pn_fbank *f, const float *pcm, size_t n, size_t piece, float *out)
{
    struct pn_fbank_stream *s = NULL;
    size_t rows = 0, width = (size_t)pn_fbank_width(f);
    if (pn_fbank_stream_new(f, &s) < 0)
        abort();
    for (size_t at = 0; at <= n; at += piece) {
        if (pn_fbank_stream_feed(s, pcm + at, PN_MIN(piece, n - at)) < 0)
            abort();
        if (at + piece > n)
            pn_fbank_stream_end(s);
        size_t ready = pn_fbank_stream_ready(s);
        pn_fbank_stream_take(s, ready, out + rows * width);
        rows += ready;
    }
    if (pn_fbank_stream_samples(s) != (int64_t)n || rows > MAX_ROWS)
        abort();
    pn_fbank_stream_free(s);
    return rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float pcm[MAX_SAMPLES], whole[MAX_ROWS * MAX_WIDTH], pieces[MAX_ROWS * MAX_WIDTH];
    struct pn_fbank *f = NULL;
    if (size < HEADER)
        return 0;
    struct pn_fbank_options opt = { .lfr_m = data[0] % 16 + 1,
                                    .lfr_n = data[1] % 16 + 1,
                                    .n_mels = data[2] % 128 + 1,
                                    .povey = data[3] & 1 };
    size_t n = PN_MIN((size - HEADER) / sizeof(*pcm), (size_t)MAX_SAMPLES);
    memcpy(pcm, data + HEADER, n * sizeof(*pcm));
    if (pn_fbank_new(&opt, &f) < 0)
        abort();
    size_t rows = rows_of(f, pcm, n, MAX_SAMPLES + 1, whole), values = rows * (size_t)pn_fbank_width(f);
    if (rows_of(f, pcm, n, data[3] + 1U, pieces) != rows ||
        memcmp(whole, pieces, values * sizeof(*whole)) != 0)
        abort();
    for (size_t i = 0; i < values; i++)
        if (!isfinite(whole[i]))
            abort();
    pn_fbank_free(f);
    return 0;
}
