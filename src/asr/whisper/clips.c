/* clips.c - see clips.h. */
#include "asr/whisper/clips.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    SMOOTH = 15,        /* frames on each side of a mean level */
    LEAD_IN = 20,       /* frames of silence left before speech */
    LONG_SILENCE = 100, /* frames */
    READ = 256,         /* rows at a time */
};

static int64_t to_frame(double seconds, int64_t content)
{
    double frame = nearbyint(seconds * 100);
    if (!(frame > 0))
        return 0;
    return frame < (double)content ? (int64_t)frame : content;
}

int pn_clips_from_seconds(const double *seconds, size_t n, int64_t content, struct pn_clip *out)
{
    if (n == 0) {
        out[0] = (struct pn_clip){ 0, content };
        return 1;
    }
    int n_clips = 0;
    for (size_t i = 0; i < n; i += 2) {
        int64_t to = i + 1 < n ? to_frame(seconds[i + 1], content) : content;
        out[n_clips++] = (struct pn_clip){ to_frame(seconds[i], content), to };
    }
    return n_clips;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Centred means, so that a single quiet frame inside a word is no pause. */
static void smooth(const float *level, int64_t n, float *out)
{
    double sum = 0;
    int64_t from = 0, to = 0;
    for (int64_t i = 0; i < n; i++) {
        for (; to < PN_MIN(i + SMOOTH + 1, n); to++)
            sum += (double)level[to];
        for (; from < i - SMOOTH; from++)
            sum -= (double)level[from];
        out[i] = (float)(sum / (double)(to - from));
    }
}

/* Levels below this are silence; -inf when the recording has no quiet and loud parts. `sorted` is scratch. */
static float silence_level(const float *smoothed, int64_t n, float *sorted)
{
    memcpy(sorted, smoothed, (size_t)n * sizeof(*sorted));
    qsort(sorted, (size_t)n, sizeof(*sorted), compare_floats);
    float quiet = sorted[n / 20], loud = sorted[n - 1 - n / 20];
    const float least = 0.1f; /* of (log10 energy) / 4: 4 dB */
    return loud - quiet < least ? -INFINITY : quiet + (loud - quiet) / 4;
}

static int64_t skip_silence(const float *smoothed, float silence, int64_t from, int64_t to)
{
    int64_t at = from;
    while (at < to && smoothed[at] < silence)
        at++;
    return at == to || at - from >= LONG_SILENCE ? PN_MAX(at - LEAD_IN, from) : from;
}

static int64_t quietest(const float *smoothed, int64_t from, int64_t to)
{
    int64_t best = from;
    for (int64_t i = from; i <= to; i++)
        if (smoothed[i] <= smoothed[best])
            best = i;
    return best;
}

/* The next piece of [from, to); false: only silence is left. */
static bool next_piece(const float *smoothed, float silence, int64_t from, int64_t to, int max,
                       struct pn_clip *ret)
{
    from = skip_silence(smoothed, silence, from, to);
    int64_t at = from;
    while (at < to && smoothed[at] < silence)
        at++;
    if (at == to)
        return false;
    int64_t end = to;
    if (to - from > max)
        end = quietest(smoothed, from + max - max / 3, from + max);
    *ret = (struct pn_clip){ from, end };
    return true;
}

static int cut(const float *smoothed, float silence, const struct pn_clip *clips, int n_clips, int max,
               struct pn_clip *out)
{
    int n = 0;
    for (int i = 0; i < n_clips; i++) {
        struct pn_clip piece = { clips[i].from, clips[i].from };
        while (piece.to < clips[i].to && next_piece(smoothed, silence, piece.to, clips[i].to, max, &piece))
            out[n++] = piece;
    }
    return n;
}

/* How many pieces there can be: each but a clip's last is at least two thirds of `max` long. */
static size_t most_pieces(const struct pn_clip *clips, int n_clips, int max)
{
    size_t n = 1;
    for (int i = 0; i < n_clips; i++)
        if (clips[i].to > clips[i].from)
            n += (size_t)((clips[i].to - clips[i].from) / (max - max / 3)) + 1;
    return n;
}

int pn_clips_cut_levels(const float *level, int64_t n_frames, const struct pn_clip *clips, int n_clips,
                        int max, struct pn_clip **ret, int *ret_n)
{
    struct pn_clip *out = calloc(most_pieces(clips, n_clips, max), sizeof(*out));
    float *smoothed = calloc((size_t)n_frames + 1, sizeof(*smoothed));
    float *sorted = calloc((size_t)n_frames + 1, sizeof(*sorted));
    bool ok = out && smoothed && sorted;
    if (ok && n_frames > 0) {
        smooth(level, n_frames, smoothed);
        *ret_n = cut(smoothed, silence_level(smoothed, n_frames, sorted), clips, n_clips, max, out);
    } else if (ok) {
        *ret_n = 0;
    }
    if (ok)
        *ret = out;
    else
        free(out);
    free(smoothed);
    free(sorted);
    return ok ? 0 : -PN_ENOMEM;
}

static void read_levels(const struct pn_features *f, int n_mels, int64_t n, float *rows, float *level)
{
    for (int64_t from = 0; from < n; from += READ) {
        int64_t count = PN_MIN(READ, n - from);
        pn_features_read(f, from, count, rows);
        for (int64_t i = 0; i < count; i++) {
            float sum = 0;
            for (int m = 0; m < n_mels; m++)
                sum += rows[i * n_mels + m];
            level[from + i] = sum / (float)n_mels;
        }
    }
}

int pn_clips_cut(const struct pn_features *f, int n_mels, const struct pn_clip *clips, int n_clips, int max,
                 struct pn_clip **ret, int *ret_n)
{
    int64_t n = pn_features_frames(f);
    float *level = calloc((size_t)n + 1, sizeof(*level));
    float *rows = calloc((size_t)READ * (size_t)n_mels, sizeof(*rows));
    int r = -PN_ENOMEM;
    if (level && rows) {
        read_levels(f, n_mels, n, rows, level);
        r = pn_clips_cut_levels(level, n, clips, n_clips, max, ret, ret_n);
    }
    free(level);
    free(rows);
    return r;
}
