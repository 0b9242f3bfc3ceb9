/* decode_main.c - the program pinna-decode: one file to 16 kHz mono float, in a cage.
 *
 * As a child (`--child MEMORY_MB CPU_S`) it has three descriptors: the control socket, the output pipe and
 * stderr. It closes the cage, says READY, waits for one request with the file's descriptor, decodes, exits.
 * By hand it opens the file first, closes the same cage and writes raw samples to stdout.
 * What must stay true: no byte of the file is looked at before the cage is closed. */
#include "audio/decode_wire.h"
#include "audio/ffmpeg_decode.h"
#include "audio/sandbox.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char USAGE[] =
    "usage: pinna-decode [options] FILE\n"
    "Decodes the audio of any audio or video file to raw samples on standard output:\n"
    "32-bit float in the machine's byte order, 16 kHz, mono. The pinna server starts it by itself.\n"
    "\n"
    "      --max-seconds N     refuse longer audio (14400)\n"
    "      --memory-mb N       address space it may use (1024)\n"
    "      --cpu-seconds N     processor time it may use (600)\n"
    "      --selftest-sandbox  show that files, network and programs are out of its reach\n"
    "  -h, --help              show this text\n"
    "      --version           show the version\n"
    "\n"
    "Exit status: 0 decoded, 1 not decoded (the reason is on standard error), 2 wrong usage.\n";

/* A sanitizer looks for leaks in exit(); in the cage there is nothing to run there. */
static _Noreturn void leave(int status)
{
    if (PN_SANITIZED)
        exit(status);
    _exit(status);
}

/* Only write(): stdio would ask for the file's status, which the cage forbids. A pipe without a reader ends
 * the process by SIGPIPE. */
static int write_all(int fd, const void *bytes, size_t len)
{
    for (const char *p = bytes; len > 0;) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -PN_EIO;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static int wire_info(void *ctx, const struct pn_decoder_info *info)
{
    uint8_t out[PN_WIRE_SMALL];
    return write_all(PN_DECODE_OUTPUT_FD, out, pn_wire_put_info(out, info));
}

static int wire_pcm(void *ctx, const float *pcm, size_t n)
{
    static uint8_t
        out[PN_WIRE_HEAD + PN_WIRE_PCM_MAX * sizeof(float)]; /* one write: one wake-up of the reader */
    pn_wire_put_pcm_head(out, n);
    memcpy(out + PN_WIRE_HEAD, pcm, n * sizeof(float));
    return write_all(PN_DECODE_OUTPUT_FD, out, PN_WIRE_HEAD + n * sizeof(float));
}

static _Noreturn void wire_fail(int code, const struct pn_err *err)
{
    uint8_t out[PN_WIRE_SMALL];
    int said = code == -PN_EFORMAT || code == -PN_ELIMIT ? code : code == -PN_ENOMEM ? -PN_ELIMIT : -PN_EIO;
    size_t len = pn_wire_put_error(out, said, err->code ? err->text : pn_error_name(code));
    leave(write_all(PN_DECODE_OUTPUT_FD, out, len) < 0 ? 2 : 1);
}

/* Waits for the one request. The parent's end closing without one is its way to say "not needed". */
static int receive(struct pn_decode_request *ret, int *ret_fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
    };
    ssize_t n;
    do
        n = recvmsg(PN_DECODE_CONTROL_FD, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    const struct cmsghdr *c = n == (ssize_t)sizeof(*ret) ? CMSG_FIRSTHDR(&msg) : NULL;
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
        c->cmsg_len != CMSG_LEN(sizeof(int)) || (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)))
        return -PN_EIO;
    memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
    return 0;
}

static int child_options(char **argv, struct pn_sandbox_options *ret)
{
    int r = pn_parse_i64(pn_str(argv[2]), 1, 1 << 20, &ret->memory_mb);
    return r < 0 ? r : pn_parse_i64(pn_str(argv[3]), 1, 1000000, &ret->cpu_s);
}

static _Noreturn void run_child(char **argv)
{
    struct pn_sandbox_options cage = { 0 };
    struct pn_sandbox_report report;
    struct pn_decode_request request;
    struct pn_decode_source src = { .fd = -1 };
    struct pn_err err = { 0 };
    uint8_t out[PN_WIRE_SMALL];
    int64_t samples = 0;
    int r = child_options(argv, &cage);
    if (r == 0)
        r = pn_sandbox_enter(&cage, &report, &err);
    if (r < 0)
        wire_fail(r, &err);
    if (write_all(PN_DECODE_OUTPUT_FD, out, pn_wire_put_ready(out, &report)) < 0 ||
        receive(&request, &src.fd) < 0)
        leave(0);
    src.size = request.size;
    src.max_samples = request.max_samples;
    src.memory_mb = cage.memory_mb;
    r = pn_ffmpeg_decode(&src, &(struct pn_decode_sink){ wire_info, wire_pcm, NULL }, &samples, &err);
    if (r < 0)
        wire_fail(r, &err);
    leave(write_all(PN_DECODE_OUTPUT_FD, out, pn_wire_put_end(out, (uint64_t)samples)) < 0 ? 2 : 0);
}

static int raw_info(void *ctx, const struct pn_decoder_info *info)
{
    return 0;
}

static int raw_pcm(void *ctx, const float *pcm, size_t n)
{
    return write_all(STDOUT_FILENO, pcm, n * sizeof(float));
}

static _Noreturn void raw_fail(const char *path, int code, const struct pn_err *err)
{
    char line[1024];
    int n = snprintf(line, sizeof(line), "pinna-decode: %.600s: %s\n", path,
                     err->code ? err->text : pn_error_name(code));
    leave(write_all(STDERR_FILENO, line, n > 0 ? (size_t)n : 0) < 0 ? 2 : 1);
}

/* O_NONBLOCK: a named pipe must not hang the open; it is refused then. */
static int open_file(const char *path, struct pn_decode_source *src, struct pn_err *err)
{
    struct stat st;
    src->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (src->fd < 0 || fstat(src->fd, &st) < 0)
        return pn_fail_errno(err, "cannot open");
    if (!S_ISREG(st.st_mode))
        return pn_fail(err, PN_EINVAL, "not a regular file");
    src->size = st.st_size;
    return 0;
}

static _Noreturn void run_by_hand(const char *path, struct pn_decode_source *src,
                                  struct pn_sandbox_options *cage)
{
    struct pn_sandbox_report report;
    struct pn_err err = { 0 };
    int64_t samples = 0;
    int r = open_file(path, src, &err);
    if (r == 0)
        r = pn_sandbox_enter(cage, &report, &err);
    if (r == 0)
        r = pn_ffmpeg_decode(src, &(struct pn_decode_sink){ raw_info, raw_pcm, NULL }, &samples, &err);
    if (r < 0)
        raw_fail(path, r, &err);
    leave(0);
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "Try 'pinna-decode --help'.\n");
    exit(2);
}

static int64_t number(const char *option, const char *text, int64_t max)
{
    int64_t v = 0;
    if (pn_parse_i64(pn_str(text), 1, max, &v) < 0) {
        fprintf(stderr, "pinna-decode: --%s: a whole number from 1 to %lld is needed\n", option,
                (long long)max);
        usage();
    }
    return v;
}

static const struct option OPTIONS[] = {
    { "max-seconds", required_argument, NULL, 's' },
    { "memory-mb", required_argument, NULL, 'm' },
    { "cpu-seconds", required_argument, NULL, 'c' },
    { "selftest-sandbox", no_argument, NULL, 't' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'v' },
    { NULL, 0, NULL, 0 },
};

static void apply(int letter, struct pn_decode_source *src, struct pn_sandbox_options *cage)
{
    switch (letter) {
    case 's':
        src->max_samples = number("max-seconds", optarg, 1000000) * PN_SAMPLE_RATE;
        break;
    case 'm':
        cage->memory_mb = number("memory-mb", optarg, 1 << 20);
        break;
    case 'c':
        cage->cpu_s = number("cpu-seconds", optarg, 1000000);
        break;
    case 't':
        exit(pn_sandbox_selftest() == 0 ? 0 : 1);
    case 'h':
        fputs(USAGE, stdout);
        exit(0);
    case 'v':
        puts("pinna-decode " PINNA_VERSION);
        exit(0);
    default:
        usage();
    }
}

int main(int argc, char **argv)
{
    mallopt(M_ARENA_MAX, 1); /* a second heap would ask for the number of processors in a file */
    pn_ffmpeg_warm_up();
    if (argc == 4 && strcmp(argv[1], "--child") == 0)
        run_child(argv);
    struct pn_sandbox_options cage = { .memory_mb = 1024, .cpu_s = 600, .by_hand = true };
    struct pn_decode_source src = { .fd = -1, .max_samples = (int64_t)14400 * PN_SAMPLE_RATE };
    for (int letter; (letter = getopt_long(argc, argv, "h", OPTIONS, NULL)) != -1;)
        apply(letter, &src, &cage);
    if (optind + 1 != argc)
        usage();
    src.memory_mb = cage.memory_mb;
    run_by_hand(argv[optind], &src, &cage);
}
