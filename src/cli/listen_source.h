/* listen_source.h - where `pinna listen` gets its audio: a file or pipe, or a microphone. One thread. */
#ifndef PN_CLI_LISTEN_SOURCE_H
#define PN_CLI_LISTEN_SOURCE_H

#include "audio/intake.h"

#include <poll.h>
#include <sys/types.h>

enum { PN_SOURCE_FDS = 8 };

struct pn_sound;

struct pn_sound_ops {
    /* Fills fds[0..cap) with what to wait for and returns how many; 0: read at once. */
    size_t (*fds)(struct pn_sound *s, struct pollfd *fds, size_t cap);
    /* Whole samples of one channel into buf[0..cap), cap at least 64: bytes; 0: the end; -PN_EAGAIN: nothing
     * now; -PN_EIO. `fds` are those that were polled. */
    ssize_t (*read)(struct pn_sound *s, struct pollfd *fds, size_t n_fds, char *buf, size_t cap,
                    struct pn_err *err);
    void (*free)(struct pn_sound *s);
};

/* Embedded first in every source. Format and rate are known as soon as read() has given something. */
struct pn_sound {
    const struct pn_sound_ops *ops;
    enum pn_intake_format format;
    int rate; /* Hz */
    bool microphone;
    uint64_t overruns; /* how often audio was lost because nobody read it in time */
};

struct pn_sound_format {
    enum pn_intake_format format;
    int rate;
    bool raw; /* do not look for a WAV header */
};

/* "-": standard input. A WAV header wins over `as`, unless as->raw. */
PN_MUST_CHECK int pn_sound_open_file(const char *name, const struct pn_sound_format *as,
                                     struct pn_sound **ret, struct pn_err *err);
/* `device`: ALSA's name; "": "default". Records 16 bits, at 16 kHz or what the device has that is nearest.
 * -PN_ENOTFOUND, -PN_EFULL (in use), -PN_EIO, -PN_EUNSUPPORTED (this build has no ALSA); the text says what
 * to do. */
PN_MUST_CHECK int pn_sound_open_microphone(const char *device, struct pn_sound **ret, struct pn_err *err);
/* Prints the devices that can record. */
PN_MUST_CHECK int pn_sound_list_devices(struct pn_err *err);
struct pn_sound *pn_sound_close(struct pn_sound *s); /* accepts NULL, returns NULL */

/* Averages the channels of `n_frames` frames in place: those of 16 bits and of 32-bit floating point. */
void pn_sound_mix(enum pn_intake_format format, int channels, char *samples, size_t n_frames);
/* The highest sample, 0..1; of 16 bits only, else 0. */
double pn_sound_peak(enum pn_intake_format format, const char *samples, size_t n_bytes);

#endif
