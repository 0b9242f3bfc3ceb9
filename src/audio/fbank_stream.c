/* fbank_stream.c - one clip's rows, made as its samples arrive (spec paraformer 1.3-1.5).
 *
 * Frames are made four at a time when their samples are there, and the one to three that a batch lacks when
 * somebody takes a row that needs them. A frame is the same bits either way, so rows depend on the samples
 * alone, not on the pieces in which they came. */
#include "audio/fbank_front.h"

#include <stdlib.h>
#include <string.h>

struct pn_fbank_stream {
    const struct pn_fbank *f;
    float *frames; /* [cap][n_mels]: those from number `first` to `made` */
    size_t cap;
    int64_t first, made, rows; /* rows: taken */
    int64_t samples;           /* fed */
    bool ended;
    int n_held;
    float held[PN_FBANK_SPAN]; /* samples from the beginning of frame `made`, on the scale of 16 bits */
};

int pn_fbank_stream_new(const struct pn_fbank *f, struct pn_fbank_stream **ret)
{
    struct pn_fbank_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return -PN_ENOMEM;
    s->f = f;
    *ret = s;
    return 0;
}

struct pn_fbank_stream *pn_fbank_stream_free(struct pn_fbank_stream *s)
{
    if (s)
        free(s->frames);
    free(s);
    return NULL;
}

void pn_fbank_stream_reset(struct pn_fbank_stream *s)
{
    free(s->frames);
    s->frames = NULL;
    s->cap = 0;
    s->first = s->made = s->rows = s->samples = 0;
    s->ended = false;
    s->n_held = 0;
}

static int64_t frames_of(int64_t samples)
{
    return samples < PN_FBANK_WINDOW ? 0 : 1 + (samples - PN_FBANK_WINDOW) / PN_FBANK_HOP;
}

/* Frames before a row's own number times lfr_n, and behind it. */
static int frames_before(const struct pn_fbank *f)
{
    return (f->lfr_m - 1) / 2;
}

static int frames_behind(const struct pn_fbank *f)
{
    return f->lfr_m - 1 - frames_before(f);
}

/* Drops the frames that no row to come needs. */
static void compact(struct pn_fbank_stream *s)
{
    int64_t needed = s->rows * s->f->lfr_n - frames_before(s->f), from = PN_MIN(needed, s->made);
    if (from <= s->first)
        return;
    size_t row = (size_t)s->f->n_mels;
    memmove(s->frames, s->frames + (size_t)(from - s->first) * row,
            (size_t)(s->made - from) * row * sizeof(*s->frames));
    s->first = from;
}

/* Room for all frames up to number `until`. */
static int reserve(struct pn_fbank_stream *s, int64_t until)
{
    size_t row = (size_t)s->f->n_mels * sizeof(*s->frames);
    if ((size_t)(until - s->first) <= s->cap)
        return 0;
    compact(s);
    size_t need = (size_t)(until - s->first), cap = PN_MAX(need, s->cap + s->cap / 2);
    if (need <= s->cap)
        return 0;
    float *grown = reallocarray(s->frames, cap, row);
    if (!grown)
        return -PN_ENOMEM;
    s->frames = grown;
    s->cap = cap;
    return 0;
}

/* The first n frames of `held` are made and their samples forgotten. */
static void make_frames(struct pn_fbank_stream *s, int n)
{
    int used = n * PN_FBANK_HOP;
    pn_fbank_frames(s->f, s->held, n, s->frames + (size_t)(s->made - s->first) * (size_t)s->f->n_mels);
    s->made += n;
    s->n_held -= used;
    memmove(s->held, s->held + used, (size_t)s->n_held * sizeof(*s->held));
}

/* What is no number, or louder than any recording by far, is no sound. */
static float sample_value(float x)
{
    return x >= -1024 && x <= 1024 ? x * 32768 : 0;
}

int pn_fbank_stream_feed(struct pn_fbank_stream *s, const float *pcm, size_t n)
{
    if (s->ended)
        return -PN_EINVAL;
    int r = reserve(s, frames_of(s->samples + (int64_t)n));
    if (r < 0)
        return r;
    for (size_t done = 0; done < n;) {
        size_t some = PN_MIN((size_t)(PN_FBANK_SPAN - s->n_held), n - done);
        for (size_t i = 0; i < some; i++)
            s->held[s->n_held + (int)i] = sample_value(pcm[done + i]);
        s->n_held += (int)some;
        done += some;
        if (s->n_held == PN_FBANK_SPAN)
            make_frames(s, PN_FBANK_BATCH);
    }
    s->samples += (int64_t)n;
    return 0;
}

void pn_fbank_stream_end(struct pn_fbank_stream *s)
{
    s->ended = true;
}

/* Rows that exist with what has been fed: all of them after the end, else those whose last frame is here. */
static int64_t rows_so_far(const struct pn_fbank_stream *s)
{
    int64_t frames = frames_of(s->samples) - (s->ended ? 0 : frames_behind(s->f)), n = s->f->lfr_n;
    return frames > 0 ? (frames + n - 1) / n : 0;
}

size_t pn_fbank_stream_ready(const struct pn_fbank_stream *s)
{
    return (size_t)(rows_so_far(s) - s->rows);
}

static void take_row(const struct pn_fbank_stream *s, float *out)
{
    const struct pn_fbank *f = s->f;
    size_t row = (size_t)f->n_mels;
    int64_t from = s->rows * f->lfr_n - frames_before(f);
    for (int j = 0; j < f->lfr_m; j++) {
        int64_t frame = PN_MIN(PN_MAX(from + j, 0), s->made - 1);
        memcpy(out + (size_t)j * row, s->frames + (size_t)(frame - s->first) * row, row * sizeof(*out));
    }
    int width = pn_fbank_width(f);
    for (int i = 0; f->shift && i < width; i++)
        out[i] = (out[i] + f->shift[i]) * f->scale[i];
}

void pn_fbank_stream_take(struct pn_fbank_stream *s, size_t n, float *out)
{
    int64_t last = (s->rows + (int64_t)n - 1) * s->f->lfr_n + frames_behind(s->f);
    if (n > 0 && s->made <= last && s->n_held >= PN_FBANK_WINDOW)
        make_frames(s, (int)frames_of(s->n_held));
    for (size_t i = 0; i < n; i++, s->rows++)
        take_row(s, out + i * (size_t)pn_fbank_width(s->f));
}

int64_t pn_fbank_stream_samples(const struct pn_fbank_stream *s)
{
    return s->samples;
}
