/* wave.h - what a WAV file is made of, for those that look into one (the WAVEFORMAT structs
 * of Microsoft's mmreg.h). */
#ifndef PN_AUDIO_WAVE_H
#define PN_AUDIO_WAVE_H

#include <stdint.h>

enum {
    PN_WAVE_PCM = 1,
    PN_WAVE_FLOAT = 3,
    PN_WAVE_ALAW = 6,
    PN_WAVE_ULAW = 7,
    PN_WAVE_EXTENSIBLE = 0xFFFE, /* the form lies in the extension, before a fixed tail */
    PN_WAVE_FORM_AT = 24,        /* there */
    PN_WAVE_FMT_PLAIN = 16,      /* bytes of a fmt chunk: WAVEFORMAT and PCM's bits */
    PN_WAVE_FMT_SIZED = 18,      /* WAVEFORMATEX adds a size */
    PN_WAVE_FMT_EXTENSIBLE = 40, /* WAVEFORMATEXTENSIBLE the rest */
    PN_WAVE_RIFF_BYTES = 12,     /* before the first chunk */
    PN_WAVE_CHUNK_BYTES = 8      /* a chunk's name and size */
};
#define PN_WAVE_SIZE_UNKNOWN 0xFFFFFFFFu /* of a chunk: who wrote it could not know */

/* An unsigned number of up to four bytes. */
static inline uint32_t pn_wave_le(const void *at, int bytes)
{
    const uint8_t *p = at;
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint32_t)p[i] << (8 * i);
    return v;
}

#endif
