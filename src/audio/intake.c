/* intake.c - see intake.h.
 *
 * Bytes become samples of their own rate, a piece at a time, and go through the filter unless they are at
 * 16 kHz already. What is left of a sample that was cut waits in `part`. */
#include "audio/intake.h"

#include "audio/decoder.h"
#include "audio/g711.h"
#include "audio/opus_packets.h"
#include "audio/sinc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1024 }; /* samples on the stack */

struct pn_intake {
    enum pn_intake_format format;
    size_t width; /* bytes of a sample */
    unsigned char part[4];
    size_t n_part;
    struct pn_sinc *sinc; /* NULL: 16 kHz */
    struct pn_opus *opus; /* instead of all that */
};

static const struct {
    const char *name;
    size_t width;
} FORMATS[] = {
    [PN_INTAKE_S16LE] = { "pcm_s16le", 2 }, [PN_INTAKE_F32LE] = { "pcm_f32le", 4 },
    [PN_INTAKE_ULAW] = { "pcm_ulaw", 1 },   [PN_INTAKE_ALAW] = { "pcm_alaw", 1 },
    [PN_INTAKE_OPUS] = { "opus", 0 },
};

int pn_intake_format_parse(struct pn_str name, enum pn_intake_format *ret)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(FORMATS); i++)
        if (pn_str_is(name, FORMATS[i].name)) {
            *ret = (enum pn_intake_format)i;
            return 0;
        }
    return -PN_EINVAL;
}

/* ---- life ---- */

struct pn_intake *pn_intake_free(struct pn_intake *in)
{
    if (in) {
        pn_sinc_free(in->sinc);
        pn_opus_free(in->opus);
        free(in);
    }
    return NULL;
}

int pn_intake_new(enum pn_intake_format format, int rate, struct pn_intake **ret, struct pn_err *err)
{
    bool opus = format == PN_INTAKE_OPUS;
    if (!opus && (rate < PN_INTAKE_MIN_RATE || rate > PN_INTAKE_MAX_RATE))
        return pn_fail(err, PN_EINVAL, "%d Hz: a sample rate is %d to %d Hz", rate, PN_INTAKE_MIN_RATE,
                       PN_INTAKE_MAX_RATE);
    struct pn_intake *in = calloc(1, sizeof(*in));
    int r = in ? 0 : -PN_ENOMEM;
    if (r == 0) {
        in->format = format;
        in->width = FORMATS[format].width;
        if (opus)
            r = pn_opus_new(&in->opus);
        else if (rate != PN_SAMPLE_RATE)
            r = pn_sinc_new(rate, &in->sinc);
    }
    if (r < 0) {
        pn_intake_free(in);
        return pn_fail(err, (enum pn_error) - r, "no memory for another stream of audio");
    }
    *ret = in;
    return 0;
}

/* ---- samples ---- */

static float clamp(float v)
{
    return v > 1 ? 1 : v >= -1 ? v : isnan(v) ? 0 : -1;
}

static float float_sample(const unsigned char *p)
{
    uint32_t bits = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    float v;
    memcpy(&v, &bits, sizeof(v));
    return clamp(v);
}

static float sample(enum pn_intake_format format, const unsigned char *p)
{
    switch (format) {
    case PN_INTAKE_S16LE:
        return (float)(int16_t)(p[0] | p[1] << 8) / 32768;
    case PN_INTAKE_F32LE:
        return float_sample(p);
    case PN_INTAKE_ULAW:
        return (float)pn_ulaw_sample(*p) / 32768;
    case PN_INTAKE_ALAW:
        return (float)pn_alaw_sample(*p) / 32768;
    case PN_INTAKE_OPUS:
        break;
    }
    PN_UNREACHABLE();
}

static void clamp_all(float *pcm, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pcm[i] = clamp(pcm[i]);
}

/* n samples of the source's rate, at most PIECE of them. The filter rings a little over. */
static int resample(struct pn_intake *in, const float *pcm, size_t n, float *out, size_t *n_out)
{
    size_t made = n;
    int r = 0;
    if (in->sinc)
        r = pn_sinc_take(in->sinc, pcm, n, out + *n_out, &made);
    else if (n > 0)
        memcpy(out + *n_out, pcm, n * sizeof(*pcm));
    if (r < 0)
        return r;
    if (in->sinc)
        clamp_all(out + *n_out, made);
    *n_out += made;
    return 0;
}

/* Completes the sample that was cut. Returns how many bytes that took. */
static size_t mend(struct pn_intake *in, const unsigned char *data, size_t n, float *piece, size_t *n_piece)
{
    if (in->n_part == 0)
        return 0;
    size_t take = PN_MIN(n, in->width - in->n_part);
    memcpy(in->part + in->n_part, data, take);
    in->n_part += take;
    if (in->n_part == in->width) {
        piece[(*n_piece)++] = sample(in->format, in->part);
        in->n_part = 0;
    }
    return take;
}

size_t pn_intake_room(const struct pn_intake *in, size_t n)
{
    if (in->opus)
        return pn_opus_room(in->opus);
    size_t samples = (in->n_part + n) / in->width;
    return in->sinc ? pn_sinc_room(in->sinc, samples) : samples;
}

int pn_intake_take(struct pn_intake *in, const unsigned char *data, size_t n, float *pcm, size_t *ret_n)
{
    float piece[PIECE];
    size_t n_piece = 0, n_out = 0;
    int r = 0;
    if (in->opus) {
        r = pn_opus_take(in->opus, data, n, pcm, ret_n);
        clamp_all(pcm, r == 0 ? *ret_n : 0);
        return r;
    }
    size_t at = mend(in, data, n, piece, &n_piece);
    do {
        for (; n_piece < PIECE && n - at >= in->width; at += in->width)
            piece[n_piece++] = sample(in->format, data + at);
        r = resample(in, piece, n_piece, pcm, &n_out);
        n_piece = 0;
    } while (r == 0 && n - at >= in->width);
    if (r < 0)
        return r;
    if (at < n) {
        in->n_part = n - at;
        memcpy(in->part, data + at, in->n_part);
    }
    *ret_n = n_out;
    return 0;
}

int pn_intake_end(struct pn_intake *in, float *pcm, size_t *ret_n)
{
    size_t n = 0;
    int r = 0;
    in->n_part = 0; /* half a sample is none */
    if (in->opus)
        r = pn_opus_end(in->opus, pcm, &n);
    else if (in->sinc)
        r = pn_sinc_end(in->sinc, pcm, &n);
    if (r < 0)
        return r;
    clamp_all(pcm, n);
    *ret_n = n;
    return 0;
}
