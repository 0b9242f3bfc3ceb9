/* decoder.h - any audio or video file to 16 kHz mono float, by the child program pinna-decode.
 *
 * Only files that need no decoding, raw PCM and WAV of 16 kHz, mono, 16 bit (wav.h), are read in the process.
 * A child serves one file and exits. It gets the file's descriptor by SCM_RIGHTS, can open nothing itself
 * (seccomp, landlock, rlimits; what the kernel lacks is said in the log), and writes framed samples into a
 * pipe (decode_wire.h). One idle, sandboxed child is kept ready. A crash, hang or bomb in it is an error of
 * that one decode. */
#ifndef PN_AUDIO_DECODER_H
#define PN_AUDIO_DECODER_H

#include "base/attr.h"
#include "base/config.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PN_SAMPLE_RATE 16000

struct pn_decoder_options {
    const char *program; /* path of pinna-decode; copied */
    int64_t max_samples; /* more is -PN_ELIMIT, from the container's word already if it tells the length */
    int64_t memory_mb;   /* RLIMIT_AS of a child */
    int64_t cpu_s;       /* RLIMIT_CPU of a child */
    int64_t stall_s;     /* no bytes for that long while the caller polls: hung */
};

struct pn_decoder_info {
    double duration_s;  /* by the container's word, a guess for some; < 0 when it does not say */
    char format[32];    /* "mov,mp4", "ogg" */
    char codec[32];     /* "aac" */
    int rate, channels; /* of the source */
};

/* What a child says of its cage; same for all children of a pool. */
struct pn_sandbox_report {
    bool seccomp;
    int landlock_abi; /* 0: the kernel has none */
};

struct pn_decoder_pool; /* thread safe */
struct pn_decoder;      /* one thread at a time */

/* Starts the first idle child and waits until it is ready: fails (-PN_ENOTFOUND, -PN_ECRASH, ...) when the
 * program cannot run. */
PN_MUST_CHECK int pn_decoder_pool_new(const struct pn_decoder_options *opt, struct pn_decoder_pool **ret,
                                      struct pn_err *err);
struct pn_decoder_pool *pn_decoder_pool_free(struct pn_decoder_pool *p); /* all decoders closed before */
struct pn_sandbox_report pn_decoder_pool_sandbox(struct pn_decoder_pool *p);

/* Hands `fd` (a regular file open for reading; its offset is not used) to a child, unless it is plain WAV.
 * `fd` stays the caller's. Starts the next idle child; waits (30 ms usually, 30 s at most) while there is
 * none. -PN_EINVAL: not a regular file; else as pn_decoder_pool_new. */
PN_MUST_CHECK int pn_decoder_open(struct pn_decoder_pool *p, int fd, struct pn_decoder **ret,
                                  struct pn_err *err);
/* As pn_decoder_open for headerless 16-bit little-endian mono PCM at 16 kHz: read here, no child. */
PN_MUST_CHECK int pn_decoder_open_pcm(struct pn_decoder_pool *p, int fd, struct pn_decoder **ret,
                                      struct pn_err *err);
/* To poll for reading; -1 when there is no child: pn_decoder_read then never says -PN_EAGAIN. */
int pn_decoder_fd(const struct pn_decoder *d);
/* Up to `cap` samples: > 0; 0 at the end; -PN_EAGAIN when nothing is there now; -PN_EFORMAT (not audio we can
 * read: the text lists the formats), -PN_ELIMIT (too long, too many streams, too much memory or CPU),
 * -PN_EIO (the file cannot be read), -PN_ECRASH, -PN_ETIMEOUT (hung: seen by calling again while nothing
 * comes, so wait for the descriptor a second at most). Never blocks. Once ended or failed it says the same
 * again. */
PN_MUST_CHECK ssize_t pn_decoder_read(struct pn_decoder *d, float *pcm, size_t cap, struct pn_err *err);
/* NULL until the child has said, and for a file that is refused; valid until close. */
const struct pn_decoder_info *pn_decoder_info(const struct pn_decoder *d);
int64_t pn_decoder_samples(const struct pn_decoder *d); /* delivered so far */
pid_t pn_decoder_pid(const struct pn_decoder *d);       /* 0: no child */
struct pn_decoder *
pn_decoder_close(struct pn_decoder *d); /* kills and reaps the child; accepts NULL, returns NULL */

/* A pool as the configuration says. The program is c->decoder if that is not empty, else the first
 * pinna-decode beside the running program, in ../libexec/pinna, or in PATH. */
PN_MUST_CHECK int pn_decoder_pool_start(const struct pn_config *c, struct pn_decoder_pool **ret,
                                        struct pn_err *err);

#endif
