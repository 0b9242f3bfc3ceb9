/* opus_packets.h - Opus packets (RFC 6716) of one speaker, one after the other, to 16 kHz mono by libopus.
 *
 * A damaged packet counts as lost: what lies in its time is made up by the decoder as soon as the next good
 * one is there, from that one's copy of it if it carries one. One thread. */
#ifndef PN_AUDIO_OPUS_PACKETS_H
#define PN_AUDIO_OPUS_PACKETS_H

#include "base/attr.h"
#include "base/error.h"

#include <stddef.h>

struct pn_opus;

PN_MUST_CHECK int pn_opus_new(struct pn_opus **ret); /* -PN_ENOMEM */
struct pn_opus *pn_opus_free(struct pn_opus *o);     /* accepts NULL, returns NULL */
size_t pn_opus_room(const struct pn_opus *o);        /* samples that the next call may write, at most */
/* -PN_EFORMAT: it is damaged, and counts as lost. An empty packet is none. */
PN_MUST_CHECK int pn_opus_take(struct pn_opus *o, const unsigned char *data, size_t n, float *pcm,
                               size_t *ret_n);
/* No more will come: the time of those that were lost last. */
PN_MUST_CHECK int pn_opus_end(struct pn_opus *o, float *pcm, size_t *ret_n);

#endif
