/* pause.c - pauses by adaptive energy.
 *
 * The energy of 30 ms windows, one every 10 ms, in decibels. "Quiet" is relative to the span itself: the
 * lowest third between its noise floor (10th percentile) and its speech level (90th), so neither the
 * recording's level nor a steady background matters. */
#include "asr/vad/pause.h"

#include "base/attr.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_FRAMES = 3000,     /* 30 s */
    MIN_PAUSE_FRAMES = 15, /* 150 ms: shorter ones are closures inside words */
    VALLEY_FRAMES = 20     /* 200 ms */
};

static float decibels(float mean_square)
{
    return 10.0f * log10f(mean_square + 1e-10f); /* -100 dB for digital silence */
}

static float mean_square(const float *pcm, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += pcm[i] * pcm[i];
    return sum / (float)n;
}

/* Energies of n_frames frames, each smoothed over its neighbours. */
static void frame_levels(const float *pcm, size_t n_frames, float *db)
{
    float before = 0, here = mean_square(pcm, PN_PAUSE_FRAME);
    for (size_t i = 0; i < n_frames; i++) {
        float after = i + 1 < n_frames ? mean_square(pcm + (i + 1) * PN_PAUSE_FRAME, PN_PAUSE_FRAME) : here;
        db[i] = decibels((before + here + after) / 3);
        before = here;
        here = after;
    }
}

static int by_level(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float quiet_threshold(const float *db, size_t n)
{
    float sorted[MAX_FRAMES];
    memcpy(sorted, db, n * sizeof(*db));
    qsort(sorted, n, sizeof(*sorted), by_level);
    float floor_db = sorted[n / 10], speech_db = sorted[n * 9 / 10];
    return floor_db + (speech_db - floor_db) / 3;
}

/* Middle of the longest run under `threshold`, the later of equals; 0 when none is long enough. */
static size_t longest_pause(const float *db, size_t n, float threshold)
{
    size_t middle = 0, longest = MIN_PAUSE_FRAMES - 1;
    for (size_t i = 0; i < n;) {
        size_t start = i;
        while (i < n && db[i] < threshold)
            i++;
        if (i - start >= longest && i - start >= MIN_PAUSE_FRAMES) {
            longest = i - start;
            middle = start + (i - start + 1) / 2;
        }
        i += i == start;
    }
    return middle;
}

/* Middle of the lowest VALLEY_FRAMES in a row. */
static size_t lowest_valley(const float *db, size_t n)
{
    size_t width = PN_MIN(n, VALLEY_FRAMES);
    float sum = 0;
    for (size_t i = 0; i < width; i++)
        sum += db[i];
    float best = sum;
    size_t at = 0;
    for (size_t i = width; i < n; i++) {
        sum += db[i] - db[i - width];
        if (sum < best) {
            best = sum;
            at = i + 1 - width;
        }
    }
    return at + (width + 1) / 2;
}

size_t pn_pause_cut(const float *pcm, size_t n, size_t from)
{
    if (n > (size_t)MAX_FRAMES * PN_PAUSE_FRAME)
        from = PN_MAX(from, n - (size_t)MAX_FRAMES * PN_PAUSE_FRAME);
    from = (from + PN_PAUSE_FRAME - 1) / PN_PAUSE_FRAME * PN_PAUSE_FRAME;
    size_t n_frames = from < n ? (n - from) / PN_PAUSE_FRAME : 0;
    if (n_frames == 0)
        return n;
    float db[MAX_FRAMES];
    frame_levels(pcm + from, n_frames, db);
    size_t frame = longest_pause(db, n_frames, quiet_threshold(db, n_frames));
    if (frame == 0)
        frame = lowest_valley(db, n_frames);
    return from + frame * PN_PAUSE_FRAME;
}

/* ---- is there anything but noise? ---- */

enum {
    BLOCK = 800,            /* 50 ms */
    MIN_BLOCKS = 2,         /* no English word is shorter than 100 ms */
    MIN_STEADY_BLOCKS = 20, /* one vowel may be steady, a second of speech is not */
    MAX_BLOCKS = 600        /* 30 s */
};
static const float SILENT_DB = -60.0f;
static const float STEADY_DB = 8.0f; /* the loudest moment of hiss is 1-5 dB above the quietest, a word 20 */

bool pn_pause_only(const float *pcm, size_t n)
{
    size_t n_blocks = PN_MIN(n / BLOCK, (size_t)MAX_BLOCKS);
    if (n_blocks < MIN_BLOCKS)
        return true;
    float db[MAX_BLOCKS];
    for (size_t i = 0; i < n_blocks; i++)
        db[i] = decibels(mean_square(pcm + i * BLOCK, BLOCK));
    qsort(db, n_blocks, sizeof(*db), by_level);
    if (db[n_blocks - 1] < SILENT_DB)
        return true;
    return n_blocks >= MIN_STEADY_BLOCKS && db[n_blocks - 1] - db[n_blocks * 5 / 100] < STEADY_DB;
}
