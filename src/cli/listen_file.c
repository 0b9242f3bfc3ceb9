/* listen_file.c - audio from a file or a pipe for `pinna listen`; see listen_source.h. */
#include "cli/listen_source.h"

#include "audio/wav_head.h"
#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
    struct pn_sound sound;
    int fd;
    bool seeking;       /* the header is not whole yet */
    bool ended;         /* nothing more can be read */
    int channels;       /* of the samples in `held` */
    int64_t left;       /* bytes that may follow; -1: no end is known */
    struct pn_buf held; /* read and not yet given away */
    size_t held_pos;
};

/* ---- samples ---- */

static size_t sample_bytes(enum pn_intake_format format)
{
    return format == PN_INTAKE_S16LE ? 2 : format == PN_INTAKE_F32LE ? 4 : 1;
}

static void mix_s16(int channels, char *p, size_t n_frames)
{
    for (size_t i = 0; i < n_frames; i++) {
        int sum = 0;
        for (int c = 0; c < channels; c++) {
            int16_t v;
            memcpy(&v, p + 2 * (i * (size_t)channels + (size_t)c), sizeof(v));
            sum += v;
        }
        int16_t mean = (int16_t)(sum / channels);
        memcpy(p + 2 * i, &mean, sizeof(mean));
    }
}

static void mix_f32(int channels, char *p, size_t n_frames)
{
    for (size_t i = 0; i < n_frames; i++) {
        float sum = 0;
        for (int c = 0; c < channels; c++) {
            float v;
            memcpy(&v, p + 4 * (i * (size_t)channels + (size_t)c), sizeof(v));
            sum += v;
        }
        float mean = sum / (float)channels;
        memcpy(p + 4 * i, &mean, sizeof(mean));
    }
}

void pn_sound_mix(enum pn_intake_format format, int channels, char *samples, size_t n_frames)
{
    if (channels > 1 && format == PN_INTAKE_S16LE)
        mix_s16(channels, samples, n_frames);
    else if (channels > 1 && format == PN_INTAKE_F32LE)
        mix_f32(channels, samples, n_frames);
}

double pn_sound_peak(enum pn_intake_format format, const char *samples, size_t n_bytes)
{
    int peak = 0;
    for (size_t i = 0; format == PN_INTAKE_S16LE && i + 1 < n_bytes; i += 2) {
        int16_t v;
        memcpy(&v, samples + i, sizeof(v));
        peak = PN_MAX(peak, abs(v));
    }
    return peak / 32768.0;
}

/* ---- the file ---- */

static size_t frame_bytes(const struct file *f)
{
    return sample_bytes(f->sound.format) * (size_t)f->channels;
}

/* No sample will come any more. */
static bool is_over(const struct file *f)
{
    return (f->left >= 0 && f->left < (int64_t)frame_bytes(f)) ||
           (f->ended && f->held.len - f->held_pos < frame_bytes(f));
}

static bool must_read(const struct file *f)
{
    return !is_over(f) && (f->seeking || f->held.len - f->held_pos < frame_bytes(f));
}

static size_t file_fds(struct pn_sound *s, struct pollfd *fds, size_t cap)
{
    const struct file *f = (struct file *)s;
    (void)cap;
    fds[0] = (struct pollfd){ .fd = f->fd, .events = POLLIN };
    return must_read(f);
}

/* 0: something was read, or the end was. */
static int read_more(struct file *f, size_t cap, struct pn_err *err)
{
    char piece[65536];
    ssize_t n = read(f->fd, piece, PN_MIN(cap, sizeof(piece)));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return -PN_EAGAIN;
    if (n < 0)
        return pn_fail_errno(err, "cannot read the audio");
    f->ended = n == 0;
    pn_buf_append(&f->held, piece, (size_t)n);
    return f->held.failed < 0 ? pn_fail(err, PN_ENOMEM, "no memory for the audio") : 0;
}

/* Once the head is whole, or there is none. */
static int find_head(struct file *f, struct pn_err *err)
{
    struct pn_wav_head h;
    int r = pn_wav_head((struct pn_str){ f->held.ptr, f->held.len }, &h, err);
    if (r == 0 && f->ended && f->held.len > 0)
        return pn_fail(err, PN_EFORMAT, "the WAV file ends in its header");
    if (r < 0 && r != -PN_ENOTFOUND)
        return r;
    f->seeking = r == 0 && !f->ended;
    if (r <= 0)
        return 0;
    f->held_pos = (size_t)r;
    f->sound.format = h.format;
    f->sound.rate = h.rate;
    f->channels = h.channels;
    f->left = h.len;
    return 0;
}

/* Whole frames from `held`, mixed. */
static size_t give(struct file *f, char *buf, size_t cap)
{
    size_t sample = sample_bytes(f->sound.format), frame = frame_bytes(f);
    size_t n = PN_MIN(f->held.len - f->held_pos, cap) / frame;
    if (f->left >= 0)
        n = (size_t)PN_MIN((int64_t)n, f->left / (int64_t)frame);
    if (n > 0)
        memcpy(buf, f->held.ptr + f->held_pos, n * frame);
    pn_sound_mix(f->sound.format, f->channels, buf, n);
    f->held_pos += n * frame;
    f->left -= f->left >= 0 ? (int64_t)(n * frame) : 0;
    return n * sample;
}

/* What was given away goes. */
static void compact(struct file *f)
{
    size_t left = f->held.len - f->held_pos;
    if (left > 0)
        memmove(f->held.ptr, f->held.ptr + f->held_pos, left);
    pn_buf_cut(&f->held, left);
    f->held_pos = 0;
}

static ssize_t file_read(struct pn_sound *s, struct pollfd *fds, size_t n_fds, char *buf, size_t cap,
                         struct pn_err *err)
{
    struct file *f = (struct file *)s;
    int r = 0;
    (void)fds, (void)n_fds;
    if (must_read(f)) {
        compact(f);
        r = read_more(f, f->seeking ? PN_WAV_HEAD_MAX - f->held.len : cap, err);
        if (r == 0 && f->seeking)
            r = find_head(f, err);
    }
    if (r < 0)
        return r;
    size_t n = f->seeking ? 0 : give(f, buf, cap);
    return n > 0 || is_over(f) ? (ssize_t)n : -PN_EAGAIN;
}

static void file_free(struct pn_sound *s)
{
    struct file *f = (struct file *)s;
    pn_buf_done(&f->held);
    close(f->fd);
    free(f);
}

static const struct pn_sound_ops FILE_OPS = { file_fds, file_read, file_free };

static int open_fd(const char *name, struct pn_err *err)
{
    bool is_stdin = strcmp(name, "-") == 0;
    int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        int r = pn_fail_errno(err, "%.120s", is_stdin ? "standard input" : name);
        if (fd >= 0)
            close(fd);
        return r;
    }
    if (S_ISDIR(st.st_mode)) {
        close(fd);
        return pn_fail(err, PN_EINVAL, "%.120s is a folder", name);
    }
    return fd;
}

int pn_sound_open_file(const char *name, const struct pn_sound_format *as, struct pn_sound **ret,
                       struct pn_err *err)
{
    int fd = open_fd(name, err);
    if (fd < 0)
        return fd;
    struct file *f = calloc(1, sizeof(*f));
    if (!f) {
        close(fd);
        return pn_fail(err, PN_ENOMEM, "no memory for the audio");
    }
    f->sound = (struct pn_sound){ .ops = &FILE_OPS, .format = as->format, .rate = as->rate };
    f->fd = fd;
    f->seeking = !as->raw;
    f->channels = 1;
    f->left = -1;
    pn_buf_init(&f->held, (size_t)2 * PN_WAV_HEAD_MAX);
    *ret = &f->sound;
    return 0;
}

struct pn_sound *pn_sound_close(struct pn_sound *s)
{
    if (s)
        s->ops->free(s);
    return NULL;
}
