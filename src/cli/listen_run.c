/* listen_run.c - see listen_run.h.
 *
 * Nothing here waits but poll(). What the ear cannot take yet is not read: a pipe's writer waits then, a
 * microphone's audio is lost and counted. */
#include "cli/listen_run.h"

#include <errno.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { PIECE_MS = 60, FIXED_FDS = 3, WAIT_MS = 1000, REDRAW_MS = 100, PIECE_MAX = 48 * PIECE_MS * 4 };

enum stage { NOT_BEGUN, LISTENING, ENDING };

struct run {
    struct pn_sound *sound;
    struct pn_ear *ear;
    struct pn_screen *screen;
    int signal_fd;
    enum stage stage;
    int screen_code; /* of a text that could not be printed */
    struct pn_err screen_err;
    struct pn_screen_view view;
    struct pollfd fds[FIXED_FDS + PN_SOURCE_FDS]; /* signals, standard output, the ear, the source's */
    size_t n_source;
};

static void told(void *ctx, const struct pn_heard_text *text)
{
    struct run *r = ctx;
    if (r->screen_code == 0)
        r->screen_code = pn_screen_told(r->screen, text, &r->screen_err);
}

static bool wants_audio(const struct run *r)
{
    return r->stage != ENDING && !r->ear->ops->full(r->ear);
}

/* ---- audio ---- */

static size_t sample_bytes(enum pn_intake_format format)
{
    return format == PN_INTAKE_F32LE ? 4 : format == PN_INTAKE_S16LE ? 2 : 1;
}

static void look_at(struct run *r, const char *data, size_t n)
{
    r->view.heard_s += (double)(n / sample_bytes(r->sound->format)) / r->sound->rate;
    if (r->sound->microphone)
        r->view.level = PN_MAX(r->view.level, pn_sound_peak(r->sound->format, data, n));
    r->view.overruns = r->sound->overruns;
}

/* The ear is told the form of the audio with the first of it; if there is none, there is nothing to hear. */
static int begin(struct run *r, struct pn_err *err)
{
    int code = r->ear->ops->begin(r->ear, r->sound->format, r->sound->rate, r->signal_fd, err);
    if (code == 0)
        r->stage = LISTENING;
    return code;
}

static int end(struct run *r, struct pn_err *err)
{
    int code = r->stage == LISTENING ? r->ear->ops->finish(r->ear, err) : 0;
    r->stage = ENDING;
    r->view.ending = true;
    return code;
}

static int take_audio(struct run *r, struct pn_err *err)
{
    char piece[PIECE_MAX];
    ssize_t n = r->sound->ops->read(r->sound, r->fds + FIXED_FDS, r->n_source, piece, sizeof(piece), err);
    if (n == -PN_EAGAIN)
        return 0;
    if (n < 0)
        return (int)n;
    if (n == 0)
        return end(r, err);
    look_at(r, piece, (size_t)n);
    int code = r->stage == NOT_BEGUN ? begin(r, err) : 0;
    return code < 0 ? code : r->ear->ops->feed(r->ear, piece, (size_t)n, err);
}

/* ---- waiting ---- */

static bool source_is_ready(const struct run *r)
{
    for (size_t i = 0; i < r->n_source; i++)
        if (r->fds[FIXED_FDS + i].revents)
            return true;
    return r->n_source == 0;
}

static void wait_for_something(struct run *r)
{
    short events = 0;
    bool listens = wants_audio(r);
    int ear_fd = r->ear->ops->fd(r->ear, &events);
    r->fds[0] = (struct pollfd){ .fd = r->signal_fd, .events = POLLIN };
    r->fds[1] = (struct pollfd){ .fd = STDOUT_FILENO }; /* only for its reader's leaving */
    r->fds[2] = (struct pollfd){ .fd = ear_fd, .events = events };
    r->n_source = listens ? r->sound->ops->fds(r->sound, r->fds + FIXED_FDS, PN_SOURCE_FDS) : 0;
    bool at_once = listens && r->n_source == 0;
    int timeout = at_once ? 0 : r->screen->line_fd >= 0 ? REDRAW_MS : WAIT_MS;
    if (poll(r->fds, FIXED_FDS + r->n_source, timeout) <= 0)
        for (size_t i = 0; i < FIXED_FDS + r->n_source; i++)
            r->fds[i].revents = 0;
}

/* The first one ends the audio, the second one everything. */
static int take_signal(struct run *r, struct pn_err *err)
{
    struct signalfd_siginfo info;
    if (r->stage == ENDING)
        return -PN_ECANCELLED;
    ssize_t n = read(r->signal_fd, &info, sizeof(info));
    (void)n;
    return end(r, err);
}

static int step(struct run *r, struct pn_err *err)
{
    bool listened = wants_audio(r);
    wait_for_something(r);
    int code = r->fds[0].revents ? take_signal(r, err) : 0;
    if (code == 0 && (r->fds[1].revents & POLLERR)) {
        errno = EPIPE;
        code = pn_fail_errno(err, "standard output");
    }
    if (code == 0 && r->stage != ENDING && listened && source_is_ready(r))
        code = take_audio(r, err);
    if (code == 0 && r->stage == ENDING && r->view.heard_s == 0)
        return 1; /* nothing was ever heard */
    return code < 0 ? code : r->ear->ops->run(r->ear, err);
}

static void draw(struct run *r)
{
    int64_t before = r->screen->drawn_us;
    pn_screen_draw(r->screen, &r->view);
    if (r->screen->drawn_us != before && r->sound->microphone)
        r->view.level = 0;
}

int pn_listen_run(struct pn_sound *sound, struct pn_ear *ear, struct pn_screen *screen, int signal_fd,
                  struct pn_err *err)
{
    struct run r = { .sound = sound,
                     .ear = ear,
                     .screen = screen,
                     .signal_fd = signal_fd,
                     .view = { .level = sound->microphone ? 0 : -1 } };
    ear->told = told;
    ear->ctx = &r;
    int code = 0;
    while (code == 0 && r.screen_code == 0) {
        draw(&r);
        code = step(&r, err);
    }
    if (r.screen_code < 0)
        return pn_fail(err, (enum pn_error) - r.screen_code, "%s", r.screen_err.text);
    return PN_MIN(code, 0);
}
