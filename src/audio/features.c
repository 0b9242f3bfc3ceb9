/* features.c - one clip's log-mel rows, made as its samples arrive (spec whisper 1.2).
 *
 * `held` is a window on the clip with 200 samples of padding in front, which mirror the first ones and are
 * therefore filled in when 201 have come. Frames are made four at a time; what is left is made at the end. So
 * rows depend on the samples alone, not on the pieces in which they came. */
#include "audio/mel_front.h"

#include <stdlib.h>
#include <string.h>

enum {
    MARGIN = PN_MEL_FFT / 2,                                       /* mirrored samples at both ends */
    BATCH_SPAN = (PN_MEL_BATCH - 1) * PN_MEL_HOP + PN_MEL_FFT,     /* samples that a batch reads */
    HELD = BATCH_SPAN + 8 * PN_MEL_BATCH * PN_MEL_HOP,
};

struct pn_features {
    const struct pn_mel *mel;
    float **chunk; /* [n_chunks] of [PN_MEL_CHUNK][n_mels]: nothing is ever copied to grow */
    size_t n_chunks, cap_chunks;
    int64_t rows;    /* stored */
    int64_t samples; /* fed */
    int64_t frames;  /* of the padded clip; set at the end */
    float loudest;   /* over the whole padded clip, at the end */
    bool mirrored, ended;
    int n_held;
    float held[HELD];
};

int pn_features_new(const struct pn_mel *m, struct pn_features **ret)
{
    struct pn_features *f = calloc(1, sizeof(*f));
    if (!f)
        return -PN_ENOMEM;
    f->mel = m;
    f->n_held = MARGIN;
    f->loudest = PN_MEL_SILENCE;
    *ret = f;
    return 0;
}

struct pn_features *pn_features_free(struct pn_features *f)
{
    for (size_t i = 0; f && i < f->n_chunks; i++)
        free(f->chunk[i]);
    if (f)
        free(f->chunk);
    free(f);
    return NULL;
}

static int add_chunk(struct pn_features *f)
{
    if (f->n_chunks == f->cap_chunks) {
        size_t cap = f->cap_chunks ? 2 * f->cap_chunks : 4;
        float **grown = reallocarray(f->chunk, cap, sizeof(*grown));
        if (!grown)
            return -PN_ENOMEM;
        f->chunk = grown;
        f->cap_chunks = cap;
    }
    float *rows = calloc((size_t)PN_MEL_CHUNK * (size_t)pn_mel_bins(f->mel), sizeof(*rows));
    if (!rows)
        return -PN_ENOMEM;
    f->chunk[f->n_chunks++] = rows;
    return 0;
}

static float *row_at(const struct pn_features *f, int64_t row)
{
    return f->chunk[row / PN_MEL_CHUNK] + row % PN_MEL_CHUNK * pn_mel_bins(f->mel);
}

/* Makes `n` rows of the frames at held[0 ..]. A chunk holds a whole number of batches, and only the last
 * batch of a clip is not whole: a batch lies within one chunk. */
static int make_rows(struct pn_features *f, int n)
{
    if (f->rows == (int64_t)f->n_chunks * PN_MEL_CHUNK) {
        int r = add_chunk(f);
        if (r < 0)
            return r;
    }
    float loudest = pn_mel_frames(f->mel, f->held, n, row_at(f, f->rows));
    f->loudest = loudest > f->loudest ? loudest : f->loudest;
    f->rows += n;
    f->n_held -= n * PN_MEL_HOP;
    memmove(f->held, f->held + n * PN_MEL_HOP, (size_t)f->n_held * sizeof(*f->held));
    return 0;
}
