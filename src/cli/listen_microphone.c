/* listen_microphone.c - ALSA's microphones for `pinna listen`; see listen_source.h.
 *
 * The device's own rate is taken, as near to 16 kHz as it has one: the filter that brings it there afterwards
 * (audio/intake.h) is better than the one of ALSA's plugins. */
#include "cli/listen_source.h"

#include "audio/decoder.h"

#include <alsa/asoundlib.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_US = 1000000, PERIOD_US = 50000, MAX_CHANNELS = 8, SHORTEN = 16 /* bits of 32 */ };

struct microphone {
    struct pn_sound sound;
    snd_pcm_t *pcm;
    snd_pcm_format_t format; /* S16_LE, or S32_LE, which is shortened */
    unsigned channels;
    char name[64];
};

/* ---- opening ---- */

static int failed(const struct microphone *m, int code, struct pn_err *err)
{
    if (code == -ENOENT || code == -ENODEV || code == -ENXIO)
        return pn_fail(
            err, PN_ENOTFOUND,
            "there is no microphone '%s'; --list-devices prints what there is, --device chooses, and "
            "--file - listens to a pipe",
            m->name);
    if (code == -EBUSY)
        return pn_fail(err, PN_EFULL, "the microphone '%s' is in use by another program", m->name);
    if (code == -EACCES || code == -EPERM)
        return pn_fail(err, PN_EIO,
                       "no permission to use the microphone '%s': is this user in the group audio?", m->name);
    return pn_fail(err, PN_EIO, "the microphone '%s': %s", m->name, snd_strerror(code));
}

static int set_format(struct microphone *m, snd_pcm_hw_params_t *hw)
{
    m->format = SND_PCM_FORMAT_S16_LE;
    int r = snd_pcm_hw_params_set_format(m->pcm, hw, m->format);
    if (r < 0) {
        m->format = SND_PCM_FORMAT_S32_LE;
        r = snd_pcm_hw_params_set_format(m->pcm, hw, m->format);
    }
    return r;
}

/* The device's own rates first; those over 48 kHz are left to ALSA's converter, if there is one. */
static int set_rate(struct microphone *m, snd_pcm_hw_params_t *hw)
{
    unsigned rate = PN_SAMPLE_RATE, least = PN_INTAKE_MIN_RATE, most = PN_INTAKE_MAX_RATE;
    int r = snd_pcm_hw_params_set_rate_resample(m->pcm, hw, 0);
    if (r >= 0 && snd_pcm_hw_params_set_rate_minmax(m->pcm, hw, &least, NULL, &most, NULL) < 0)
        r = snd_pcm_hw_params_set_rate_resample(m->pcm, hw, 1);
    if (r >= 0)
        r = snd_pcm_hw_params_set_rate_near(m->pcm, hw, &rate, NULL);
    m->sound.rate = (int)rate;
    return r >= 0 && (rate < PN_INTAKE_MIN_RATE || rate > PN_INTAKE_MAX_RATE) ? -EINVAL : r;
}

static int set_times(struct microphone *m, snd_pcm_hw_params_t *hw)
{
    unsigned buffer = BUFFER_US, period = PERIOD_US;
    int r = snd_pcm_hw_params_set_buffer_time_near(m->pcm, hw, &buffer, NULL);
    return r < 0 ? r : snd_pcm_hw_params_set_period_time_near(m->pcm, hw, &period, NULL);
}

static int configure(struct microphone *m)
{
    snd_pcm_hw_params_t *hw = NULL;
    int r = snd_pcm_hw_params_malloc(&hw);
    if (r >= 0)
        r = snd_pcm_hw_params_any(m->pcm, hw);
    if (r >= 0)
        r = snd_pcm_hw_params_set_access(m->pcm, hw, SND_PCM_ACCESS_RW_INTERLEAVED);
    if (r >= 0)
        r = set_format(m, hw);
    m->channels = 1;
    if (r >= 0)
        r = snd_pcm_hw_params_set_channels_near(m->pcm, hw, &m->channels);
    if (r >= 0 && m->channels > MAX_CHANNELS)
        r = -EINVAL;
    if (r >= 0)
        r = set_rate(m, hw);
    if (r >= 0)
        r = set_times(m, hw);
    if (r >= 0)
        r = snd_pcm_hw_params(m->pcm, hw);
    snd_pcm_hw_params_free(hw);
    return r;
}

/* ---- listening ---- */

static size_t microphone_fds(struct pn_sound *s, struct pollfd *fds, size_t cap)
{
    struct microphone *m = (struct microphone *)s;
    int n = snd_pcm_poll_descriptors(m->pcm, fds, (unsigned)cap);
    return n > 0 ? (size_t)n : 0;
}

/* After an overrun or a pause of the machine; what was lost meanwhile is only counted. */
static int recover(struct microphone *m, int code, struct pn_err *err)
{
    m->sound.overruns += code == -EPIPE;
    int r = snd_pcm_recover(m->pcm, code, 1);
    if (r >= 0)
        r = snd_pcm_start(m->pcm);
    return r < 0 ? failed(m, r, err) : -PN_EAGAIN;
}

static void shorten(char *samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int32_t v;
        memcpy(&v, samples + 4 * i, sizeof(v));
        int16_t high = (int16_t)(v >> SHORTEN);
        memcpy(samples + 2 * i, &high, sizeof(high));
    }
}

static ssize_t microphone_read(struct pn_sound *s, struct pollfd *fds, size_t n_fds, char *buf, size_t cap,
                               struct pn_err *err)
{
    struct microphone *m = (struct microphone *)s;
    unsigned short revents = 0;
    int r = n_fds > 0 ? snd_pcm_poll_descriptors_revents(m->pcm, fds, (unsigned)n_fds, &revents) : 0;
    if (r >= 0 && n_fds > 0 && revents == 0)
        return -PN_EAGAIN;
    size_t frame = m->channels * (m->format == SND_PCM_FORMAT_S32_LE ? sizeof(int32_t) : sizeof(int16_t));
    snd_pcm_sframes_t n = snd_pcm_readi(m->pcm, buf, cap / frame);
    if (n == -EAGAIN || n == 0)
        return -PN_EAGAIN;
    if (n == -EPIPE || n == -ESTRPIPE)
        return recover(m, (int)n, err);
    if (n < 0)
        return failed(m, (int)n, err);
    if (m->format == SND_PCM_FORMAT_S32_LE)
        shorten(buf, (size_t)n * m->channels);
    pn_sound_mix(PN_INTAKE_S16LE, (int)m->channels, buf, (size_t)n);
    return n * (ssize_t)sizeof(int16_t);
}

static void microphone_free(struct pn_sound *s)
{
    struct microphone *m = (struct microphone *)s;
    if (m->pcm)
        snd_pcm_close(m->pcm);
    snd_config_update_free_global();
    free(m);
}

static const struct pn_sound_ops MICROPHONE_OPS = { microphone_fds, microphone_read, microphone_free };

/* The library writes to stderr otherwise; its codes are enough. */
static void be_quiet(const char *file, int line, const char *function, int code, const char *format, ...)
{
    (void)file, (void)line, (void)function, (void)code, (void)format;
}

int pn_sound_open_microphone(const char *device, struct pn_sound **ret, struct pn_err *err)
{
    struct microphone *m = calloc(1, sizeof(*m));
    if (!m)
        return pn_fail(err, PN_ENOMEM, "no memory for the microphone");
    m->sound = (struct pn_sound){ .ops = &MICROPHONE_OPS, .format = PN_INTAKE_S16LE, .microphone = true };
    snprintf(m->name, sizeof(m->name), "%s", device[0] ? device : "default");
    snd_lib_error_set_handler(be_quiet);
    int r = snd_pcm_open(&m->pcm, m->name, SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK);
    if (r >= 0)
        r = configure(m);
    if (r >= 0)
        r = snd_pcm_start(m->pcm);
    if (r < 0) {
        r = failed(m, r, err);
        pn_sound_close(&m->sound);
        return r;
    }
    *ret = &m->sound;
    return 0;
}

/* ---- the list ---- */

static void print_device(const void *hint)
{
    char *name = snd_device_name_get_hint(hint, "NAME"), *what = snd_device_name_get_hint(hint, "DESC");
    char *way = snd_device_name_get_hint(hint, "IOID"); /* NULL: both ways */
    if (name && strcmp(name, "null") != 0 && (!way || strcmp(way, "Input") == 0)) {
        size_t len = what ? strcspn(what, "\n") : 0;
        printf("%-32s %.*s\n", name, (int)len, what ? what : "");
    }
    free(name);
    free(what);
    free(way);
}

int pn_sound_list_devices(struct pn_err *err)
{
    void **hints = NULL;
    snd_lib_error_set_handler(be_quiet);
    int r = snd_device_name_hint(-1, "pcm", &hints);
    for (void **h = hints; r >= 0 && *h; h++)
        print_device(*h);
    if (hints)
        snd_device_name_free_hint(hints);
    snd_config_update_free_global();
    if (r < 0)
        return pn_fail(err, PN_EIO, "ALSA's devices: %s", snd_strerror(r));
    return fflush(stdout) == 0 ? 0 : pn_fail_errno(err, "standard output");
}
