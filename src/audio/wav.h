/* wav.h - finds the samples of a WAV file that are already as the models want them. */
#ifndef PN_AUDIO_WAV_H
#define PN_AUDIO_WAV_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

struct pn_wav {
    int64_t pos, len; /* of the samples in the file, in bytes: inside it; len is even and not 0 */
    bool told;        /* the header says the length, else it is what the file holds */
};

/* True if the file `fd` of `size` bytes is RIFF/WAVE with 16-bit PCM at 16 kHz in one channel and nothing
 * about it is unusual; *ret is untouched otherwise. Looks at headers of chunks only, reading with pread: the
 * samples must begin in the first 64 KB. What is refused here, damaged files and those that cannot be read
 * among them, is for a decode child, whose samples are the same. One thing is judged otherwise: the libraries
 * look into the samples for compressed audio in disguise, here the header's word is taken. */
PN_MUST_CHECK bool pn_wav_find(int fd, int64_t size, struct pn_wav *ret);

#endif
