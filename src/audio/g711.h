/* g711.h - samples of telephones (ITU-T G.711), a byte each, as 16-bit ones. */
#ifndef PN_AUDIO_G711_H
#define PN_AUDIO_G711_H

#include <stdint.h>

/* Sign, three bits of exponent, four of mantissa, all inverted; 0.. are loud. */
static inline int16_t pn_ulaw_sample(uint8_t byte)
{
    unsigned code = ~(unsigned)byte & 0xff;
    int size = (int)(((code & 15) * 2 + 33) << (code >> 4 & 7)) - 33;
    return (int16_t)(4 * (code & 0x80 ? -size : size));
}

/* The same with every other bit inverted, and the sign the other way round. */
static inline int16_t pn_alaw_sample(uint8_t byte)
{
    unsigned code = byte ^ 0x55u, exponent = code >> 4 & 7;
    int size = (int)((code & 15) * 2 + 1);
    if (exponent)
        size = (size + 32) << (exponent - 1);
    return (int16_t)(8 * (code & 0x80 ? size : -size));
}

#endif
