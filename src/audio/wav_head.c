/* wav_head.c - see wav_head.h. */
#include "audio/wav_head.h"
#include "audio/wave.h"

#include <string.h>

static int sample_format(uint32_t form, uint32_t bits, uint32_t channels, enum pn_intake_format *ret)
{
    static const struct {
        uint32_t form, bits, channels; /* at most */
        enum pn_intake_format format;
    } KNOWN[] = { { PN_WAVE_PCM, 16, PN_WAV_CHANNELS_MAX, PN_INTAKE_S16LE },
                  { PN_WAVE_FLOAT, 32, PN_WAV_CHANNELS_MAX, PN_INTAKE_F32LE },
                  { PN_WAVE_ULAW, 8, 1, PN_INTAKE_ULAW },
                  { PN_WAVE_ALAW, 8, 1, PN_INTAKE_ALAW } };
    for (size_t i = 0; i < PN_ARRAY_LEN(KNOWN); i++)
        if (form == KNOWN[i].form && bits == KNOWN[i].bits && channels >= 1 &&
            channels <= KNOWN[i].channels) {
            *ret = KNOWN[i].format;
            return 0;
        }
    return -PN_EUNSUPPORTED;
}

static int read_format(const char *fmt, uint32_t len, struct pn_wav_head *h, struct pn_err *err)
{
    if (len < PN_WAVE_FMT_PLAIN)
        return pn_fail(err, PN_EFORMAT, "the WAV header is damaged");
    uint32_t form = pn_wave_le(fmt, 2), channels = pn_wave_le(fmt + 2, 2), rate = pn_wave_le(fmt + 4, 4),
             bits = pn_wave_le(fmt + 14, 2);
    if (form == PN_WAVE_EXTENSIBLE && len >= PN_WAVE_FMT_EXTENSIBLE)
        form = pn_wave_le(fmt + PN_WAVE_FORM_AT, 2);
    if (sample_format(form, bits, channels, &h->format) < 0)
        return pn_fail(err, PN_EUNSUPPORTED,
                       "WAV with %u bits of form %u in %u channels: only 16 bits, 32-bit floating point and "
                       "G.711 are read here",
                       bits, form, channels);
    if (rate < PN_INTAKE_MIN_RATE || rate > PN_INTAKE_MAX_RATE)
        return pn_fail(err, PN_EUNSUPPORTED, "WAV at %u Hz: only %d to %d are read here", rate,
                       PN_INTAKE_MIN_RATE, PN_INTAKE_MAX_RATE);
    h->rate = (int)rate;
    h->channels = (int)channels;
    return 0;
}

/* From the first chunk on. */
static int walk(struct pn_str bytes, struct pn_wav_head *h, struct pn_err *err)
{
    for (size_t at = PN_WAVE_RIFF_BYTES; at + PN_WAVE_CHUNK_BYTES <= bytes.len;) {
        const char *c = bytes.ptr + at;
        uint32_t len = pn_wave_le(c + 4, 4);
        at += PN_WAVE_CHUNK_BYTES;
        if (memcmp(c, "data", 4) == 0) {
            h->len = len == 0 || len == PN_WAVE_SIZE_UNKNOWN ? -1 : (int64_t)len;
            return h->rate ? (int)at : pn_fail(err, PN_EFORMAT, "the WAV header is damaged");
        }
        if (len > PN_WAV_HEAD_MAX)
            return pn_fail(err, PN_ELIMIT, "the WAV header is too long");
        if (len > bytes.len - at)
            return 0;
        int r = memcmp(c, "fmt ", 4) == 0 ? read_format(c + PN_WAVE_CHUNK_BYTES, len, h, err) : 0;
        if (r < 0)
            return r;
        at += len + (len & 1);
    }
    return 0;
}

int pn_wav_head(struct pn_str bytes, struct pn_wav_head *ret, struct pn_err *err)
{
    struct pn_wav_head h = { .len = -1 };
    size_t n = PN_MIN(bytes.len, (size_t)4);
    if (n > 0 && memcmp(bytes.ptr, "RIFF", n) != 0)
        return -PN_ENOTFOUND;
    if (bytes.len < PN_WAVE_RIFF_BYTES)
        return 0;
    if (memcmp(bytes.ptr + 8, "WAVE", 4) != 0)
        return -PN_ENOTFOUND;
    int r = walk((struct pn_str){ bytes.ptr, PN_MIN(bytes.len, (size_t)PN_WAV_HEAD_MAX) }, &h, err);
    if (r > 0)
        *ret = h;
    if (r == 0 && bytes.len >= PN_WAV_HEAD_MAX)
        return pn_fail(err, PN_ELIMIT, "the WAV header is too long");
    return r;
}
