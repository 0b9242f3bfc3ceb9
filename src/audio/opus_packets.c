/* opus_packets.c - see opus_packets.h. */
#include "audio/opus_packets.h"

#include "audio/decoder.h"

#include <opus.h>
#include <stdlib.h>

enum {
    PACKET_MAX = 120 * PN_SAMPLE_RATE / 1000,  /* samples in a packet: 120 ms */
    PACKET_USUAL = 20 * PN_SAMPLE_RATE / 1000, /* of one that was lost before any came */
    FRAMES_MAX = 48,
    BYTES_MAX = FRAMES_MAX * (1275 + 2) + 2, /* each frame has its length before it */
    LOST_MAX = PN_SAMPLE_RATE,               /* more is silence anyway */
};

struct pn_opus {
    OpusDecoder *decoder;
    int usual; /* samples of the last good packet */
    int lost;  /* samples, not made up yet */
};

int pn_opus_new(struct pn_opus **ret)
{
    int error;
    struct pn_opus *o = calloc(1, sizeof(*o));
    if (!o)
        return -PN_ENOMEM;
    o->decoder = opus_decoder_create(PN_SAMPLE_RATE, 1, &error);
    if (!o->decoder) {
        free(o);
        return -PN_ENOMEM;
    }
    o->usual = PACKET_USUAL;
    *ret = o;
    return 0;
}

struct pn_opus *pn_opus_free(struct pn_opus *o)
{
    if (o) {
        opus_decoder_destroy(o->decoder);
        free(o);
    }
    return NULL;
}

size_t pn_opus_room(const struct pn_opus *o)
{
    return (size_t)(o->lost + PACKET_MAX);
}

/* Its samples; 0: it is damaged. */
static int length_of(const unsigned char *data, size_t n)
{
    opus_int16 sizes[FRAMES_MAX];
    if (n > BYTES_MAX || opus_packet_parse(data, (opus_int32)n, NULL, NULL, sizes, NULL) < 1)
        return 0;
    int samples = opus_packet_get_nb_samples(data, (opus_int32)n, PN_SAMPLE_RATE);
    return samples > 0 && samples <= PACKET_MAX ? samples : 0;
}

static int lose(struct pn_opus *o)
{
    o->lost = PN_MIN(o->lost + o->usual, LOST_MAX);
    return -PN_EFORMAT;
}

/* Makes up what was lost, with the help of the packet that follows it (NULL: none). Returns the samples. */
static int make_up(struct pn_opus *o, const unsigned char *data, size_t n, float *pcm)
{
    int made = o->lost ? opus_decode_float(o->decoder, data, (opus_int32)n, pcm, o->lost, data != NULL) : 0;
    o->lost = 0;
    return PN_MAX(made, 0);
}

int pn_opus_take(struct pn_opus *o, const unsigned char *data, size_t n, float *pcm, size_t *ret_n)
{
    if (n == 0) {
        *ret_n = 0;
        return 0;
    }
    int length = length_of(data, n);
    if (length == 0)
        return lose(o);
    int made = make_up(o, data, n, pcm);
    int got = opus_decode_float(o->decoder, data, (opus_int32)n, pcm + made, PACKET_MAX, 0);
    if (got < 0) { /* what was made up is lost once more */
        o->lost = made;
        return lose(o);
    }
    o->usual = length;
    *ret_n = (size_t)(made + got);
    return 0;
}

int pn_opus_end(struct pn_opus *o, float *pcm, size_t *ret_n)
{
    *ret_n = (size_t)make_up(o, NULL, 0, pcm);
    return 0;
}
