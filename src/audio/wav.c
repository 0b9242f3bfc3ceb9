/* wav.c - see wav.h: a walk over the chunks of a file, which is hostile.
 *
 * What must stay true: a file is taken only if the libraries of pinna-decode read the same samples from it.
 * They start at the last `data` chunk that they find, look for another one behind it, and some chunks change
 * what the file is; so everything behind the samples is walked over, too. */
#include "audio/wav.h"
#include "audio/decoder.h"
#include "audio/wave.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define ID(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

enum {
    EXAMINED = 65536, /* bytes before the samples */
    MAX_CHUNKS = 32,
    SPEAKER_CENTER = 4 /* of the mask; other single ones are given other weights in a mix to mono */
};

struct walk {
    int fd;
    int64_t size, at; /* of the file; of the next chunk */
    int n_chunks;
};

struct chunk {
    uint32_t id, size;
    int64_t pos, end; /* of its bytes by its own word: `end` may lie beyond the file */
};

static bool read_at(int fd, uint8_t *buf, size_t len, int64_t pos)
{
    size_t have = 0;
    while (have < len) {
        ssize_t n = pread(fd, buf + have, len - have, pos + (int64_t)have);
        if (n > 0)
            have += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return false;
    }
    return true;
}

/* The chunk at w->at, whole or not; an odd one is followed by a byte of padding. */
static bool next_chunk(struct walk *w, struct chunk *ret)
{
    uint8_t head[PN_WAVE_CHUNK_BYTES];
    if (w->n_chunks++ >= MAX_CHUNKS || w->size - w->at < (int64_t)sizeof(head) ||
        !read_at(w->fd, head, sizeof(head), w->at))
        return false;
    ret->id = pn_wave_le(head, 4);
    ret->size = pn_wave_le(head + 4, 4);
    ret->pos = w->at + (int64_t)sizeof(head);
    ret->end = ret->pos + ret->size;
    w->at = ret->end + (ret->size & 1);
    return true;
}

/* One to step over. Not those that may make the libraries refuse the file or see another stream in it. */
static bool harmless(const struct walk *w, const struct chunk *c)
{
    static const uint32_t IDS[] = {
        ID('f', 'm', 't', ' '), ID('d', 'a', 't', 'a'), ID('d', 's', '6', '4'),
        ID('b', 'e', 'x', 't'), ID('c', 'u', 'e', ' '), ID('I', 'D', '3', ' '),
        ID('i', 'd', '3', ' '), ID('S', 'M', 'V', '0'), ID('X', 'M', 'A', '2'),
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(IDS); i++)
        if (c->id == IDS[i])
            return false;
    return c->end <= w->size && (c->id != ID('L', 'I', 'S', 'T') || c->size >= 4);
}

static bool extension_fits(const uint8_t fmt[PN_WAVE_FMT_EXTENSIBLE])
{
    static const uint8_t PCM[16] = { PN_WAVE_PCM, 0, 0, 0,    0, 0,    0x10, 0,
                                     0x80,        0, 0, 0xAA, 0, 0x38, 0x9B, 0x71 };
    uint32_t speakers = pn_wave_le(fmt + 20, 4);
    return pn_wave_le(fmt + 16, 2) == PN_WAVE_FMT_EXTENSIBLE - PN_WAVE_FMT_SIZED &&
           pn_wave_le(fmt + 18, 2) == 16 && (speakers == 0 || speakers == SPEAKER_CENTER) &&
           memcmp(fmt + 24, PCM, sizeof(PCM)) == 0;
}

/* The rate in bytes, at 8, is often wrong and nobody needs it. */
static bool format_fits(const struct walk *w, const struct chunk *c)
{
    uint8_t fmt[PN_WAVE_FMT_EXTENSIBLE] = { 0 };
    if ((c->size != PN_WAVE_FMT_PLAIN && c->size != PN_WAVE_FMT_SIZED && c->size != PN_WAVE_FMT_EXTENSIBLE) ||
        !read_at(w->fd, fmt, c->size, c->pos))
        return false;
    if (pn_wave_le(fmt + 2, 2) != 1 || pn_wave_le(fmt + 4, 4) != PN_SAMPLE_RATE ||
        pn_wave_le(fmt + 12, 2) != 2 || pn_wave_le(fmt + 14, 2) != 16)
        return false;
    if (c->size == PN_WAVE_FMT_EXTENSIBLE)
        return pn_wave_le(fmt, 2) == PN_WAVE_EXTENSIBLE && extension_fits(fmt);
    return pn_wave_le(fmt, 2) == PN_WAVE_PCM && pn_wave_le(fmt + 16, 2) == 0;
}

/* From w->at to the end of the file. Behind odd samples the libraries look without stepping over the padding:
 * nothing may be there. */
static bool tail_fits(struct walk *w, const struct chunk *data)
{
    if (data->size & 1)
        return w->size <= w->at;
    while (w->at < w->size) {
        struct chunk c;
        if (!next_chunk(w, &c) || !harmless(w, &c))
            return false;
    }
    return true;
}

/* A recorder that wrote into a pipe could not tell the size; one that was cut off told too much. */
static bool samples_fit(struct walk *w, const struct chunk *data, bool counted, struct pn_wav *ret)
{
    bool told = data->size != 0 && data->size != PN_WAVE_SIZE_UNKNOWN && data->end <= w->size;
    int64_t len = ((told ? data->end : w->size) - data->pos) & ~INT64_C(1);
    if (len <= 0 || (told ? !tail_fits(w, data) : counted))
        return false;
    *ret = (struct pn_wav){ data->pos, len, told };
    return true;
}

bool pn_wav_find(int fd, int64_t size, struct pn_wav *ret)
{
    uint8_t head[PN_WAVE_RIFF_BYTES];
    struct walk w = { .fd = fd, .size = size, .at = sizeof(head) };
    if (size < (int64_t)sizeof(head) || !read_at(fd, head, sizeof(head), 0) ||
        pn_wave_le(head, 4) != ID('R', 'I', 'F', 'F') || pn_wave_le(head + 8, 4) != ID('W', 'A', 'V', 'E'))
        return false;
    bool formatted = false, counted = false;
    struct chunk c;
    while (next_chunk(&w, &c) && c.pos <= EXAMINED) {
        if (c.id == ID('d', 'a', 't', 'a'))
            return formatted && samples_fit(&w, &c, counted, ret);
        if (c.id == ID('f', 'm', 't', ' ')) {
            if (formatted || !format_fits(&w, &c))
                return false;
            formatted = true;
        } else if (!harmless(&w, &c)) {
            return false;
        }
        counted |= c.id == ID('f', 'a', 'c', 't'); /* then the libraries take the length from there */
    }
    return false;
}
