/* decoder.c - see decoder.h: one file's samples, from a child's pipe or straight from a raw or plain WAV
 * file.
 *
 * A decoder belongs to one thread at a time and takes no lock; only the pool is shared. What must stay true:
 * what a child says is believed after decode_wire.c has checked it, and counted against max_samples here as
 * well; the first end or failure is final. */
#include "audio/decode_pool.h"
#include "audio/wav.h"
#include "base/clock.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INPUT_BYTES = 65536, RAW_BLOCK = 8192, SEND_TRIES = 3 };

struct pn_decoder {
    const struct pn_decoder_options *opt; /* the pool's */
    struct pn_decode_child *child;        /* NULL when the file is read here */
    int raw_fd;                           /* -1 when there is a child; our own duplicate */
    int64_t raw_pos, raw_end;             /* of its samples that are not read yet; bytes */
    bool has_info;
    struct pn_decoder_info info;
    int64_t samples;     /* delivered */
    int64_t quiet_since; /* when the pipe was first found empty, us; 0: it was not */
    bool over;           /* `result` (0 or -PN_E*) and `err` are final */
    int result;
    struct pn_err err;
    const float *pcm; /* of the reader's current message, not delivered yet */
    size_t pcm_left;
    struct pn_str unread; /* of `input` */
    char input[INPUT_BYTES];
};

/* 0 and the size, if it is something that can be read from the start to the end. */
static int regular_size(int fd, int64_t *ret, struct pn_err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return pn_fail_errno(err, "cannot look at the file");
    if (!S_ISREG(st.st_mode))
        return pn_fail(err, PN_EINVAL, "not a regular file");
    *ret = st.st_size;
    return 0;
}

static int decoder_new(const struct pn_decoder_options *opt, struct pn_decoder **ret, struct pn_err *err)
{
    struct pn_decoder *d = malloc(sizeof(*d));
    if (!d)
        return pn_fail(err, PN_ENOMEM, "no memory for a decoder");
    memset(d, 0, offsetof(struct pn_decoder, input));
    d->opt = opt;
    d->raw_fd = -1;
    *ret = d;
    return 0;
}

struct pn_decoder *pn_decoder_close(struct pn_decoder *d)
{
    if (d) {
        pn_decode_child_free(d->child);
        if (d->raw_fd >= 0)
            close(d->raw_fd);
        free(d);
    }
    return NULL;
}

static int finish(struct pn_decoder *d, int result)
{
    d->over = true;
    d->result = result;
    return result;
}

/* A child may have died since it was last looked at; the next one is as good. */
static int take_and_send(struct pn_decoder_pool *p, const struct pn_decode_request *req, int fd,
                         struct pn_decode_child **ret, struct pn_err *err)
{
    struct pn_err last = { 0 };
    int r = -PN_ECRASH;
    for (int i = 0; i < SEND_TRIES && r == -PN_ECRASH; i++) {
        struct pn_decode_child *c = NULL;
        last = (struct pn_err){ 0 };
        r = pn_decode_pool_take(p, &c, &last);
        if (r < 0)
            break;
        r = pn_decode_child_send(c, req, fd, &last);
        if (r < 0)
            pn_decode_child_free(c);
        else
            *ret = c;
    }
    return r < 0 ? pn_fail(err, (enum pn_error)last.code, "%s", last.text) : 0;
}

static int open_child(struct pn_decoder_pool *p, int fd, int64_t size, struct pn_decoder **ret,
                      struct pn_err *err)
{
    const struct pn_decoder_options *opt = pn_decode_pool_options(p);
    struct pn_decode_request req = { .size = size, .max_samples = opt->max_samples };
    struct pn_decoder *d = NULL;
    int r = decoder_new(opt, &d, err);
    if (r == 0)
        r = take_and_send(p, &req, fd, &d->child, err);
    if (r < 0)
        pn_decoder_close(d);
    else
        *ret = d;
    return r;
}

/* Samples from `pos` to `end` of the file, 16 bit and as the models want them: read here. */
static int open_raw(struct pn_decoder_pool *p, int fd, int64_t pos, int64_t end, struct pn_decoder **ret,
                    struct pn_err *err)
{
    struct pn_decoder *d = NULL;
    int r = decoder_new(pn_decode_pool_options(p), &d, err);
    if (r < 0)
        return r;
    d->raw_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (d->raw_fd < 0) {
        r = pn_fail_errno(err, "cannot keep the file open");
        pn_decoder_close(d);
        return r;
    }
    d->raw_pos = pos;
    d->raw_end = end;
    d->info = (struct pn_decoder_info){ .duration_s = (double)((end - pos) / 2) / PN_SAMPLE_RATE,
                                        .format = "s16le",
                                        .codec = "pcm_s16le",
                                        .rate = PN_SAMPLE_RATE,
                                        .channels = 1 };
    d->has_info = true;
    *ret = d;
    return 0;
}

/* As a child refuses it: by the header's word at once, or else when so much has been read. */
static void believe_wav(struct pn_decoder *d, const struct pn_wav *wav)
{
    memcpy(d->info.format, "wav", sizeof("wav"));
    if (!wav->told || wav->len / 2 <= d->opt->max_samples)
        return;
    d->has_info = false;
    finish(d, pn_fail(&d->err, PN_ELIMIT, "the file says it holds %.0f seconds of audio; %.0f are allowed",
                      d->info.duration_s, (double)d->opt->max_samples / PN_SAMPLE_RATE));
}

int pn_decoder_open(struct pn_decoder_pool *p, int fd, struct pn_decoder **ret, struct pn_err *err)
{
    int64_t size = 0;
    struct pn_wav wav;
    int r = regular_size(fd, &size, err);
    if (r < 0)
        return r;
    if (!pn_wav_find(fd, size, &wav))
        return open_child(p, fd, size, ret, err);
    r = open_raw(p, fd, wav.pos, wav.pos + wav.len, ret, err);
    if (r == 0)
        believe_wav(*ret, &wav);
    return r;
}

int pn_decoder_open_pcm(struct pn_decoder_pool *p, int fd, struct pn_decoder **ret, struct pn_err *err)
{
    int64_t size = 0;
    int r = regular_size(fd, &size, err);
    return r < 0 ? r : open_raw(p, fd, 0, size, ret, err);
}

int pn_decoder_fd(const struct pn_decoder *d)
{
    return d->child ? d->child->pipe_fd : -1;
}

const struct pn_decoder_info *pn_decoder_info(const struct pn_decoder *d)
{
    return d->has_info ? &d->info : NULL;
}

int64_t pn_decoder_samples(const struct pn_decoder *d)
{
    return d->samples;
}

pid_t pn_decoder_pid(const struct pn_decoder *d)
{
    return d->child ? d->child->pid : 0;
}

static int too_long(struct pn_decoder *d)
{
    return finish(d, pn_fail(&d->err, PN_ELIMIT, "more than %.0f seconds of audio",
                             (double)d->opt->max_samples / PN_SAMPLE_RATE));
}

/* `want` bytes from the raw file, or fewer at its end; -1 with errno. */
static ssize_t pread_all(int fd, void *buf, size_t want, int64_t pos)
{
    size_t have = 0;
    while (have < want) {
        ssize_t n = pread(fd, (char *)buf + have, want - have, pos + (int64_t)have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

/* An odd byte at the end is half a sample: left out. */
static ssize_t read_raw(struct pn_decoder *d, float *pcm, size_t cap)
{
    uint16_t block[RAW_BLOCK];
    int64_t left = d->raw_end - d->raw_pos;
    size_t want = PN_MIN(PN_MIN(cap, (size_t)RAW_BLOCK) * sizeof(block[0]), (size_t)left);
    ssize_t got = pread_all(d->raw_fd, block, want, d->raw_pos);
    if (got < 0)
        return finish(d, pn_fail_errno(&d->err, "cannot read the file"));
    size_t n = (size_t)got / sizeof(block[0]);
    if (n == 0)
        return finish(d, 0);
    if (d->samples + (int64_t)n > d->opt->max_samples)
        return too_long(d);
    for (size_t i = 0; i < n; i++)
        pcm[i] = (float)(int16_t)le16toh(block[i]) / 32768.0f;
    d->raw_pos += (int64_t)(n * sizeof(block[0]));
    d->samples += (int64_t)n;
    return (ssize_t)n;
}

/* The child's word is not trusted: nonsense is a crash. */
static void malformed(struct pn_decoder *d)
{
    finish(d, pn_fail(&d->err, PN_ECRASH, "the decoder went wrong on this file (its output is malformed)"));
}

static void hear(struct pn_decoder *d, const struct pn_wire_message *m)
{
    switch (m->type) {
    case PN_WIRE_READY: /* was heard by the pool; the reader refuses a second one */
        break;
    case PN_WIRE_INFO:
        d->info = m->info;
        d->has_info = true;
        break;
    case PN_WIRE_PCM:
        d->pcm = m->pcm;
        d->pcm_left = m->n;
        break;
    case PN_WIRE_END:
        finish(d, 0);
        break;
    case PN_WIRE_ERROR:
        d->err = m->error;
        finish(d, -m->error.code);
        break;
    }
}

/* Parses what is unread up to the next samples or the end, behind which nothing may be. */
static void parse(struct pn_decoder *d)
{
    struct pn_wire_message m;
    while (d->pcm_left == 0 && d->unread.len > 0 && (!d->over || d->result == 0)) {
        int r = pn_wire_read(&d->child->reader, &d->unread, &m, NULL);
        if (r < 0)
            malformed(d);
        else if (r > 0)
            hear(d, &m);
    }
}

static int quiet(struct pn_decoder *d)
{
    int64_t now = pn_now_us();
    if (d->quiet_since == 0)
        d->quiet_since = now;
    if (now - d->quiet_since < d->opt->stall_s * 1000000)
        return -PN_EAGAIN;
    return finish(d, pn_fail(&d->err, PN_ETIMEOUT, "the decoder gave nothing for %lld seconds",
                             (long long)d->opt->stall_s));
}

/* More bytes from the pipe: 0, or as pn_decoder_read. An empty pipe means that the child, not the caller, is
 * who we wait for: the caller's own delays never count as a hang. */
static int fill_input(struct pn_decoder *d)
{
    ssize_t n;
    do
        n = read(d->child->pipe_fd, d->input, sizeof(d->input));
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return quiet(d);
    if (n < 0)
        return finish(d, pn_fail_errno(&d->err, "cannot read from the decoder"));
    if (n == 0)
        return finish(d, pn_decode_child_why(d->child, d->opt, &d->err));
    d->quiet_since = 0;
    d->unread = (struct pn_str){ d->input, (size_t)n };
    return 0;
}

static ssize_t deliver(struct pn_decoder *d, float *pcm, size_t cap)
{
    size_t n = PN_MIN(cap, d->pcm_left);
    if (d->samples + (int64_t)n > d->opt->max_samples)
        return too_long(d);
    memcpy(pcm, d->pcm, n * sizeof(float));
    d->pcm += n;
    d->pcm_left -= n;
    d->samples += (int64_t)n;
    return (ssize_t)n;
}

static ssize_t read_child(struct pn_decoder *d, float *pcm, size_t cap)
{
    for (;;) {
        parse(d);
        if (d->over)
            return d->result;
        if (d->pcm_left > 0)
            return deliver(d, pcm, cap);
        int r = fill_input(d);
        if (r < 0)
            return r;
    }
}

ssize_t pn_decoder_read(struct pn_decoder *d, float *pcm, size_t cap, struct pn_err *err)
{
    if (cap == 0)
        return pn_fail(err, PN_EINVAL, "no room for samples");
    ssize_t r = d->over ? d->result : d->child ? read_child(d, pcm, cap) : read_raw(d, pcm, cap);
    if (d->over && r < 0)
        return pn_fail(err, (enum pn_error) - r, "%s", d->err.text);
    return r;
}
