/* features.c - one clip's log-mel rows, made as its samples arrive (spec whisper 1.2).
 *
 * `held` is a window on the clip with 200 samples of padding in front, which mirror the first ones and are
 * therefore filled in when 201 have come. Frames are made four at a time; what is left is made at the end. So
 * rows depend on the samples alone, not on the pieces in which they came. */
#include "audio/mel_front.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARGIN = PN_MEL_FFT / 2,                                   /* mirrored samples at both ends */
    BATCH_SPAN = (PN_MEL_BATCH - 1) * PN_MEL_HOP + PN_MEL_FFT, /* samples that a batch reads */
};

struct pn_features {
    const struct pn_mel *mel;
    float **chunk; /* [n_chunks] of [PN_MEL_CHUNK][n_mels]: nothing is ever copied to grow */
    size_t n_chunks, cap_chunks;
    int64_t rows;    /* stored */
    int64_t limit;   /* rows to store: known at the end */
    int64_t samples; /* fed */
    float loudest;   /* over the whole padded clip, at the end */
    bool mirrored, ended;
    int n_held;
    float held[BATCH_SPAN];
};

int pn_features_new(const struct pn_mel *m, struct pn_features **ret)
{
    struct pn_features *f = calloc(1, sizeof(*f));
    if (!f)
        return -PN_ENOMEM;
    f->mel = m;
    f->n_held = MARGIN;
    f->loudest = PN_MEL_SILENCE;
    f->limit = INT64_MAX;
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

/* Makes the rows of the frames in `held`, which is full, and keeps the samples that the next batch shares. A
 * chunk holds a whole number of batches, and only the last batch of a clip is not whole: a batch lies within
 * one chunk. */
static int make_rows(struct pn_features *f)
{
    int64_t wanted = f->limit - f->rows;
    int n = wanted < PN_MEL_BATCH ? (int)wanted : PN_MEL_BATCH, shift = PN_MEL_BATCH * PN_MEL_HOP;
    if (n > 0 && f->rows == (int64_t)f->n_chunks * PN_MEL_CHUNK) {
        int r = add_chunk(f);
        if (r < 0)
            return r;
    }
    if (n > 0) {
        float loudest = pn_mel_frames(f->mel, f->held, n, row_at(f, f->rows));
        f->loudest = loudest > f->loudest ? loudest : f->loudest;
        f->rows += n;
    }
    f->n_held -= shift;
    memmove(f->held, f->held + shift, (size_t)f->n_held * sizeof(*f->held));
    return 0;
}

/* held[MARGIN] is the clip's first sample: the one before it equals the one after it, and so on. */
static void mirror_start(struct pn_features *f)
{
    for (int k = 1; k <= MARGIN; k++)
        f->held[MARGIN - k] = f->held[MARGIN + k];
    f->mirrored = true;
}

/* NULL pushes zeros. */
static int push(struct pn_features *f, const float *pcm, size_t n)
{
    for (size_t done = 0; done < n;) {
        if (f->n_held == BATCH_SPAN) {
            int r = make_rows(f);
            if (r < 0)
                return r;
        }
        size_t room = (size_t)(BATCH_SPAN - f->n_held), some = PN_MIN(room, n - done);
        if (pcm)
            memcpy(f->held + f->n_held, pcm + done, some * sizeof(*pcm));
        else
            memset(f->held + f->n_held, 0, some * sizeof(*pcm));
        f->n_held += (int)some;
        done += some;
        if (!f->mirrored && f->n_held > 2 * MARGIN)
            mirror_start(f);
    }
    return 0;
}

int pn_features_feed(struct pn_features *f, const float *pcm, size_t n)
{
    if (f->ended)
        return -PN_EINVAL;
    int r = push(f, pcm, n);
    if (r == 0)
        f->samples += (int64_t)n;
    return r;
}

/* The margin after the last sample, which mirrors the samples before it. A batch leaves more than MARGIN
 * samples behind, so they are still here. */
static int mirror_end(struct pn_features *f)
{
    float tail[MARGIN];
    for (int k = 0; k < MARGIN; k++)
        tail[k] = f->held[f->n_held - 2 - k];
    return push(f, tail, MARGIN);
}

int pn_features_end(struct pn_features *f, size_t pad)
{
    /* Frames that begin in zeros are silence: two hops and a margin of padding are enough to see the rest. */
    size_t zeros = PN_MIN(pad, (size_t)PN_MEL_FFT);
    int64_t n = f->samples + (int64_t)zeros;
    if (f->ended)
        return -PN_EINVAL;
    f->ended = true;
    f->limit = n / PN_MEL_HOP;
    int r = push(f, NULL, zeros);
    if (r == 0 && n > MARGIN)
        r = mirror_end(f);
    while (r == 0 && f->rows < f->limit) {
        r = push(f, NULL, (size_t)(BATCH_SPAN - f->n_held));
        if (r == 0)
            r = make_rows(f);
    }
    return r;
}

int64_t pn_features_frames(const struct pn_features *f)
{
    return f->samples / PN_MEL_HOP;
}

int64_t pn_features_samples(const struct pn_features *f)
{
    return f->samples;
}

void pn_features_read(const struct pn_features *f, int64_t from, int64_t n, float *out)
{
    int bins = pn_mel_bins(f->mel);
    float floor = f->loudest - 8;
    for (int64_t row = from; row < from + n; row++, out += bins) {
        const float *in = row < f->rows ? row_at(f, row) : NULL;
        for (int b = 0; b < bins; b++) {
            float v = in ? in[b] : PN_MEL_SILENCE;
            out[b] = ((v > floor ? v : floor) + 4) / 4;
        }
    }
}
