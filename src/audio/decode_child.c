/* decode_child.c - see decode_child.h.
 *
 * What must stay true: the child inherits descriptors 0, 1 and 2 and no other, whatever the parent has open;
 * waitpid() is called for our own process ids only, once each, so an id is never used after it may have been
 * given to another process; every descriptor is close-on-exec from its birth. */
#include "audio/decode_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* 4 s of audio: the child decodes ahead while the job thread is elsewhere. */
enum { PIPE_BYTES = 262144, EXIT_WAIT_MS = 50 };

/* The only variables a child gets: none can change what it decodes. */
static const char *const KEPT_VARIABLES[] = { "LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "LSAN_OPTIONS=",
                                              "UBSAN_OPTIONS=", "TSAN_OPTIONS=" };
enum { MAX_VARIABLES = 8 };

static void child_environment(char *env[MAX_VARIABLES])
{
    size_t n = 0;
    static char locale[] = "LC_ALL=C", zone[] = "TZ=UTC0";
    env[n++] = locale;
    env[n++] = zone;
    for (size_t i = 0; i < PN_ARRAY_LEN(KEPT_VARIABLES); i++)
        for (char **v = environ; v && *v && n < MAX_VARIABLES - 1; v++)
            if (strncmp(*v, KEPT_VARIABLES[i], strlen(KEPT_VARIABLES[i])) == 0) {
                env[n++] = *v;
                break;
            }
    env[n] = NULL;
}

/* dup2 onto 0 and 1 must not meet a source that is 0 or 1 itself: a daemon may run without stdin. */
static int above_stdio(int *fd)
{
    if (*fd > 2)
        return 0;
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    if (moved < 0)
        return -1;
    close(*fd);
    *fd = moved;
    return 0;
}

static int prepare_files(posix_spawn_file_actions_t *fa, int control, int output)
{
    int e = posix_spawn_file_actions_adddup2(fa, control, PN_DECODE_CONTROL_FD);
    e = e ? e : posix_spawn_file_actions_adddup2(fa, output, PN_DECODE_OUTPUT_FD);
    if (!PN_SANITIZED)
        e = e ? e : posix_spawn_file_actions_addopen(fa, 2, "/dev/null", O_WRONLY, 0);
    return e ? e : posix_spawn_file_actions_addclosefrom_np(fa, 3);
}

/* A terminal's Ctrl-C and a service manager's SIGTERM are for the server, which drains; it ends its children.
 * All other signals do what they do by default. */
static int prepare_signals(posix_spawnattr_t *attr)
{
    sigset_t blocked, all;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGHUP);
    sigaddset(&blocked, SIGQUIT);
    sigfillset(&all);
    int e = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    e = e ? e : posix_spawnattr_setsigmask(attr, &blocked);
    return e ? e : posix_spawnattr_setsigdefault(attr, &all);
}

static int spawn(const struct pn_decoder_options *opt, int control, int output, pid_t *ret)
{
    char memory[24], cpu[24], flag[] = "--child", name[] = "pinna-decode";
    snprintf(memory, sizeof(memory), "%lld", (long long)opt->memory_mb);
    snprintf(cpu, sizeof(cpu), "%lld", (long long)opt->cpu_s);
    char *argv[] = { name, flag, memory, cpu, NULL }, *env[MAX_VARIABLES];
    child_environment(env);
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    int e = posix_spawn_file_actions_init(&fa);
    if (e)
        return e;
    e = posix_spawnattr_init(&attr);
    if (e == 0) {
        e = prepare_files(&fa, control, output);
        e = e ? e : prepare_signals(&attr);
        e = e ? e : posix_spawn(ret, opt->program, &fa, &attr, argv, env);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&fa);
    return e;
}

static void close_pair(const int fds[2])
{
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static int open_channels(int control[2], int pipe_fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
        return -1;
    /* A larger pipe is a wish: unprivileged users have a quota. */
    (void)!fcntl(pipe_fds[1], F_SETPIPE_SZ, PIPE_BYTES);
    if (fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) < 0)
        return -1;
    return above_stdio(&control[1]) < 0 || above_stdio(&pipe_fds[1]) < 0 ? -1 : 0;
}

static int start(const struct pn_decoder_options *opt, struct pn_decode_child *c, struct pn_err *err)
{
    int control[2] = { -1, -1 }, pipe_fds[2] = { -1, -1 };
    int e = open_channels(control, pipe_fds) < 0 ? errno : 0;
    e = e ? e : spawn(opt, control[1], pipe_fds[1], &c->pid);
    if (e == 0) {
        close(control[1]);
        close(pipe_fds[1]);
        c->control_fd = control[0];
        c->pipe_fd = pipe_fds[0];
        return 0;
    }
    c->pid = 0;
    close_pair(control);
    close_pair(pipe_fds);
    errno = e;
    return e == ENOENT ? pn_fail(err, PN_ENOTFOUND, "the decoder program %.150s is not there", opt->program)
                       : pn_fail_errno(err, "cannot start the decoder program %.150s", opt->program);
}

int pn_decode_child_start(const struct pn_decoder_options *opt, struct pn_decode_child **ret,
                          struct pn_err *err)
{
    struct pn_decode_child *c = calloc(1, sizeof(*c));
    if (!c)
        return pn_fail(err, PN_ENOMEM, "no memory for a decoder");
    c->control_fd = c->pipe_fd = -1;
    pn_wire_reader_init(&c->reader);
    int r = start(opt, c, err);
    if (r < 0)
        pn_decode_child_free(c);
    else
        *ret = c;
    return r;
}

/* True once it is reaped; c->status is then known. */
static bool reap(struct pn_decode_child *c, int options)
{
    pid_t got;
    int status = 0;
    do
        got = waitpid(c->pid, &status, options);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return false;
    c->status = got < 0 ? -1 : status; /* -1: somebody ignores SIGCHLD, the kernel reaped it */
    c->pid = 0;
    return true;
}

struct pn_decode_child *pn_decode_child_free(struct pn_decode_child *c)
{
    if (!c)
        return NULL;
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        reap(c, 0);
    }
    if (c->control_fd >= 0)
        close(c->control_fd);
    if (c->pipe_fd >= 0)
        close(c->pipe_fd);
    free(c);
    return NULL;
}

int pn_decode_child_send(struct pn_decode_child *c, const struct pn_decode_request *req, int fd,
                         struct pn_err *err)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct pn_decode_request copy = *req;
    struct iovec iov = { .iov_base = &copy, .iov_len = sizeof(copy) };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
    };
    struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &fd, sizeof(int));
    ssize_t n;
    do
        n = sendmsg(c->control_fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
        return pn_fail(err, PN_ECRASH, "the decoder died before it was used");
    if (n < 0)
        return pn_fail_errno(err, "cannot hand the file to the decoder");
    close(c->control_fd);
    c->control_fd = -1;
    return 0;
}

/* The end of the pipe precedes the end of the process by microseconds, unless it was taken over and stays. */
static void wait_for_exit(struct pn_decode_child *c)
{
    const struct timespec ms = { .tv_nsec = 1000000 };
    for (int i = 0; i < EXIT_WAIT_MS && c->pid > 0; i++)
        if (!reap(c, WNOHANG))
            nanosleep(&ms, NULL);
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        reap(c, 0);
        c->status = -1;
    }
}

static int why_signal(int sig, const struct pn_decoder_options *opt, struct pn_err *err)
{
    switch (sig) {
    case SIGXCPU:
        return pn_fail(err, PN_ELIMIT, "decoding took more than %lld seconds of processor time",
                       (long long)opt->cpu_s);
    case SIGKILL:
        return pn_fail(err, PN_ECRASH, "the decoder was killed in the middle of the file");
    case SIGSYS:
        return pn_fail(err, PN_ECRASH,
                       "the decoder was stopped: the file made it try a forbidden system call");
    default:
        return pn_fail(err, PN_ECRASH, "the decoder crashed on this file (SIG%s)", sigabbrev_np(sig));
    }
}

int pn_decode_child_why(struct pn_decode_child *c, const struct pn_decoder_options *opt, struct pn_err *err)
{
    if (c->pid > 0)
        wait_for_exit(c);
    if (c->status >= 0 && WIFSIGNALED(c->status))
        return why_signal(WTERMSIG(c->status), opt, err);
    if (c->status >= 0 && WIFEXITED(c->status))
        return pn_fail(err, PN_ECRASH, "the decoder ended in the middle of the file (status %d)",
                       WEXITSTATUS(c->status));
    return pn_fail(err, PN_ECRASH, "the decoder ended in the middle of the file");
}
