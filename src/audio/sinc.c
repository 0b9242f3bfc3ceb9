/* sinc.c - see sinc.h.
 *
 * The output's sample k lies at k * step / phases samples of the input (the two rates' ratio in lowest
 * terms). The table holds one row of coefficients for each phase; where a ratio has too many of them (odd
 * rates), it holds TABLE_PHASES, and the two rows beside the wanted one are mixed.
 * Invariant: `kept` begins `half - 1` samples before the one at or before the next output. */
#include "audio/sinc.h"

#include "audio/decoder.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    ZEROS = 32,         /* of the sinc on each side, at the lower rate */
    MAX_PHASES = 640,   /* 11025 Hz has as many */
    TABLE_PHASES = 512, /* mixing two rows of so many costs -105 dB */
    BESSEL_TERMS = 24,  /* 1e-12 of what it is at BETA */
    LANES = 8,          /* sums in a row of coefficients */
};

static const double CUTOFF = 0.94; /* the middle of the slope, of half the lower rate */
static const double BETA = 9.0;    /* of the window: 90 dB */

struct pn_sinc {
    uint32_t step, phases; /* input samples in `phases` output samples */
    uint32_t rows;         /* of the table, without the one that closes it */
    size_t half, taps;     /* taps = 2 * half, a multiple of LANES */
    float *table;          /* [rows + 1][taps] */
    float *kept;           /* input samples that are still needed */
    size_t n_kept, cap_kept;
    uint32_t phase; /* of the next output sample, of `phases` */
    uint64_t n_in, n_out;
};

/* ---- the table ---- */

/* The Kaiser window, times something: the modified Bessel function of order 0, whose series in (x/2)^2 has
 * the coefficients 1 / k!^2. `edge`: -1 to 1. */
static double window(double edge)
{
    double y = BETA * BETA / 4 * (1 - edge * edge), sum = 1;
    for (int k = BESSEL_TERMS; k > 0; k--)
        sum = 1 + sum * y * (1.0 / (k * k));
    return sum;
}

/* The filter at `t` input samples from its middle, times something; `scale` lower rate / input rate. */
static double kernel(double t, double scale)
{
    double edge = t * scale / ZEROS, x = M_PI * t * scale * CUTOFF;
    if (edge <= -1 || edge >= 1)
        return 0;
    return (fabs(x) < 1e-9 ? 1 : sin(x) / x) * window(edge);
}

/* A row for outputs that lie `fraction` behind an input sample; it sums up to 1, so a constant stays one. */
static void fill_row(float *row, size_t half, double fraction, double scale)
{
    double sum = 0;
    for (size_t i = 0; i < 2 * half; i++) {
        row[i] = (float)kernel((double)i - (double)(half - 1) - fraction, scale);
        sum += row[i];
    }
    for (size_t i = 0; i < 2 * half; i++)
        row[i] = (float)(row[i] / sum);
}

/* The row that lies as far before an input sample as `row` behind one. */
static void mirror_row(float *mirrored, const float *row, size_t taps)
{
    for (size_t i = 0; i < taps; i++)
        mirrored[i] = row[taps - 1 - i];
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int make_table(struct pn_sinc *s, int rate)
{
    double scale = rate > PN_SAMPLE_RATE ? (double)PN_SAMPLE_RATE / rate : 1;
    s->half = pn_round_up((size_t)ceil(ZEROS / scale) + 1, LANES / 2);
    s->taps = 2 * s->half;
    s->rows = s->phases <= MAX_PHASES ? s->phases : TABLE_PHASES;
    s->table = calloc((size_t)(s->rows + 1) * s->taps, sizeof(*s->table));
    if (!s->table)
        return -PN_ENOMEM;
    for (uint32_t i = 0; i <= s->rows / 2; i++) {
        float *row = s->table + i * s->taps;
        fill_row(row, s->half, (double)i / s->rows, scale);
        mirror_row(s->table + (s->rows - i) * s->taps, row, s->taps);
    }
    return 0;
}

/* ---- life ---- */

struct pn_sinc *pn_sinc_free(struct pn_sinc *s)
{
    if (s) {
        free(s->table);
        free(s->kept);
        free(s);
    }
    return NULL;
}

static int keep_room(struct pn_sinc *s, size_t n)
{
    if (s->cap_kept - s->n_kept >= n)
        return 0;
    float *kept = reallocarray(s->kept, s->n_kept + n, sizeof(*kept));
    if (!kept)
        return -PN_ENOMEM;
    s->kept = kept;
    s->cap_kept = s->n_kept + n;
    return 0;
}

static void keep_zeros(struct pn_sinc *s, size_t n)
{
    memset(s->kept + s->n_kept, 0, n * sizeof(*s->kept));
    s->n_kept += n;
}

int pn_sinc_new(int rate, struct pn_sinc **ret)
{
    if (rate < PN_SINC_MIN_RATE || rate > PN_SINC_MAX_RATE)
        return -PN_EINVAL;
    struct pn_sinc *s = calloc(1, sizeof(*s));
    if (!s)
        return -PN_ENOMEM;
    uint32_t divisor = common_divisor((uint32_t)rate, PN_SAMPLE_RATE);
    s->step = (uint32_t)rate / divisor;
    s->phases = PN_SAMPLE_RATE / divisor;
    int r = make_table(s, rate);
    if (r == 0)
        r = keep_room(s, s->half - 1);
    if (r < 0) {
        pn_sinc_free(s);
        return r;
    }
    keep_zeros(s, s->half - 1); /* before the first sample there was silence */
    *ret = s;
    return 0;
}

/* ---- samples ---- */

static float dot(const float *a, const float *b, size_t n)
{
    float sums[LANES] = { 0 }, sum = 0;
    for (size_t i = 0; i < n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            sums[k] += a[i + k] * b[i + k];
    for (size_t k = 0; k < LANES; k++)
        sum += sums[k];
    return sum;
}

static float sample_at(const struct pn_sinc *s, const float *in)
{
    if (s->rows == s->phases)
        return dot(s->table + s->phase * s->taps, in, s->taps);
    uint64_t at = (uint64_t)s->phase * s->rows;
    const float *row = s->table + at / s->phases * s->taps;
    float part = (float)(at % s->phases) / (float)s->phases;
    return dot(row, in, s->taps) * (1 - part) + dot(row + s->taps, in, s->taps) * part;
}

/* All output for which the input is there. */
static size_t run(struct pn_sinc *s, float *out, uint64_t limit)
{
    size_t at = 0, n = 0;
    while (at + s->taps <= s->n_kept && s->n_out < limit) {
        out[n++] = sample_at(s, s->kept + at);
        s->n_out++;
        s->phase += s->step;
        at += s->phase / s->phases;
        s->phase %= s->phases;
    }
    s->n_kept -= at;
    memmove(s->kept, s->kept + at, s->n_kept * sizeof(*s->kept));
    return n;
}

size_t pn_sinc_room(const struct pn_sinc *s, size_t n)
{
    return (s->n_kept + n) * s->phases / s->step + 2;
}

int pn_sinc_take(struct pn_sinc *s, const float *pcm, size_t n, float *out, size_t *ret_n)
{
    int r = keep_room(s, n);
    if (r < 0)
        return r;
    memcpy(s->kept + s->n_kept, pcm, n * sizeof(*pcm));
    s->n_kept += n;
    s->n_in += n;
    *ret_n = run(s, out, UINT64_MAX);
    return 0;
}

int pn_sinc_end(struct pn_sinc *s, float *out, size_t *ret_n)
{
    int r = keep_room(s, s->half);
    if (r < 0)
        return r;
    keep_zeros(s, s->half);
    *ret_n = run(s, out, (s->n_in * s->phases + s->step - 1) / s->step);
    return 0;
}
