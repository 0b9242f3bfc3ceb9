/* test_audio_decoder.c - the decoder pool with the real pinna-decode (PINNA_DECODE; tests/unit/meson.build
 * sets it): right samples, children that are killed, hang or never were decoders, threads, and what is left
 * over. */
#include "audio/decoder.h"
#include "base/clock.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { AU_HEAD = 24, AU_S16 = 3 };

static struct pn_decoder_options options(void)
{
    const char *program = getenv("PINNA_DECODE");
    return (struct pn_decoder_options){ .program = program ? program : "build/pinna-decode",
                                        .max_samples = 600 * PN_SAMPLE_RATE,
                                        .memory_mb = 1024,
                                        .cpu_s = 60,
                                        .stall_s = 60 };
}

static struct pn_decoder_pool *pool_of(struct pn_decoder_options opt)
{
    struct pn_decoder_pool *p = NULL;
    struct pn_err err = { 0 };
    if (pn_decoder_pool_new(&opt, &p, &err) < 0)
        fail_msg("no pool with %s: %s", opt.program, err.text);
    return p;
}

static int bytes_fd(const void *bytes, size_t len)
{
    int fd = memfd_create("clip", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    return fd;
}

static int16_t tone_sample(uint32_t i, double amplitude)
{
    return (int16_t)lrint(amplitude * 32767 * sin(i * 2 * M_PI * 440 / PN_SAMPLE_RATE));
}

/* A tone of `seconds` at 16 kHz without a name, loud as `amplitude`, so that files differ. In AU, which only
 * a child reads. */
static int tone_fd(double seconds, double amplitude)
{
    uint32_t n = (uint32_t)(seconds * PN_SAMPLE_RATE);
    const uint32_t head[AU_HEAD / 4] = { htobe32(0x2e736e64), htobe32(AU_HEAD),        htobe32(n * 2),
                                         htobe32(AU_S16),     htobe32(PN_SAMPLE_RATE), htobe32(1) };
    uint16_t *pcm = malloc(n * sizeof(*pcm));
    assert_non_null(pcm);
    for (uint32_t i = 0; i < n; i++)
        pcm[i] = htobe16((uint16_t)tone_sample(i, amplitude));
    int fd = bytes_fd(head, sizeof(head));
    assert_int_equal(write(fd, pcm, n * sizeof(*pcm)), n * sizeof(*pcm));
    free(pcm);
    return fd;
}

/* Waits for the decoder; 20 s are far beyond everything here. */
static void wait_some(struct pn_decoder *d)
{
    struct pollfd p = { .fd = pn_decoder_fd(d), .events = POLLIN };
    poll(&p, 1, 100);
}

/* Reads to the end: 0 or -PN_E*; the loudest sample to *ret_peak. */
static int drain(struct pn_decoder *d, double *ret_peak, struct pn_err *err)
{
    float pcm[5000];
    ssize_t n;
    double peak = 0;
    while ((n = pn_decoder_read(d, pcm, PN_ARRAY_LEN(pcm), err)) > 0 || n == -PN_EAGAIN) {
        if (n == -PN_EAGAIN)
            wait_some(d);
        for (ssize_t i = 0; i < n; i++)
            peak = fmax(peak, fabs((double)pcm[i]));
    }
    if (ret_peak)
        *ret_peak = peak;
    return (int)n;
}

/* Reads until the first samples are there. */
static void read_first(struct pn_decoder *d)
{
    float pcm[100];
    struct pn_err err = { 0 };
    ssize_t n;
    while ((n = pn_decoder_read(d, pcm, PN_ARRAY_LEN(pcm), &err)) == -PN_EAGAIN)
        wait_some(d);
    if (n <= 0)
        fail_msg("no samples: %s", err.text);
}

/* One whole decode; the result, and the text in *err. */
static int decode(struct pn_decoder_pool *p, int fd, int64_t *ret_samples, double *ret_peak,
                  struct pn_err *err)
{
    struct pn_decoder *d = NULL;
    int r = pn_decoder_open(p, fd, &d, err);
    if (r < 0)
        return r;
    r = drain(d, ret_peak, err);
    *ret_samples = pn_decoder_samples(d);
    assert_null(pn_decoder_close(d));
    return r;
}

static void expect_tone(struct pn_decoder_pool *p, double seconds, double amplitude)
{
    int64_t samples = 0;
    double peak = 0;
    struct pn_err err = { 0 };
    int fd = tone_fd(seconds, amplitude);
    if (decode(p, fd, &samples, &peak, &err) != 0)
        fail_msg("not decoded: %s", err.text);
    assert_int_equal(samples, (int64_t)(seconds * PN_SAMPLE_RATE));
    assert_true(fabs(peak - amplitude) < 0.01);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), AU_HEAD + samples * 2); /* its offset was left alone */
    close(fd);
}

static void test_decodes(void **state)
{
    struct pn_decoder_pool *p = pool_of(options());
    int fd = tone_fd(1.5, 0.5);
    struct pn_decoder *d = NULL;
    struct pn_err err = { 0 };
    assert_int_equal(pn_decoder_open(p, fd, &d, &err), 0);
    close(fd); /* stays the caller's */
    assert_true(pn_decoder_fd(d) >= 0);
    assert_true(pn_decoder_pid(d) > 0);
    assert_null(pn_decoder_info(d));
    assert_int_equal(drain(d, NULL, &err), 0);
    const struct pn_decoder_info *info = pn_decoder_info(d);
    assert_non_null(info);
    assert_true(fabs(info->duration_s - 1.5) < 0.01);
    assert_string_equal(info->format, "au");
    assert_string_equal(info->codec, "pcm_s16be");
    assert_int_equal(info->rate, 16000);
    assert_int_equal(info->channels, 1);
    assert_int_equal(pn_decoder_samples(d), 24000);
    float more;
    assert_int_equal(pn_decoder_read(d, &more, 1, &err), 0); /* the end stays the end */
    pn_decoder_close(d);
    expect_tone(p, 0.5, 0.9);
    assert_null(pn_decoder_pool_free(p));
}

static void test_cage_is_reported(void **state)
{
    struct pn_decoder_pool *p = pool_of(options());
    struct pn_sandbox_report cage = pn_decoder_pool_sandbox(p);
    if (PN_SANITIZED)
        assert_false(cage.seccomp);
    assert_in_range(cage.landlock_abi, 0, 100);
    pn_decoder_pool_free(p);
}

static void test_raw_pcm(void **state)
{
    static const char s16[] = {
        0, 0, 0, 64, 0, (char)0x80, (char)0xff, 127, 1
    }; /* 0, .5, -1, ~1, half a sample */
    struct pn_decoder_pool *p = pool_of(options());
    int fd = bytes_fd(s16, sizeof(s16));
    struct pn_decoder *d = NULL;
    struct pn_err err = { 0 };
    assert_int_equal(pn_decoder_open_pcm(p, fd, &d, &err), 0);
    close(fd);
    float pcm[10];
    assert_int_equal(pn_decoder_fd(d), -1);
    assert_int_equal(pn_decoder_pid(d), 0);
    assert_int_equal(pn_decoder_read(d, pcm, 3, &err), 3);
    assert_true(pcm[0] == 0 && pcm[1] == 0.5f && pcm[2] == -1.0f);
    assert_int_equal(pn_decoder_read(d, pcm, 10, &err), 1);
    assert_true(pcm[0] > 0.9999f && pcm[0] < 1);
    assert_int_equal(pn_decoder_read(d, pcm, 10, &err), 0);
    assert_int_equal(pn_decoder_samples(d), 4);
    pn_decoder_close(d);
    pn_decoder_pool_free(p);
}

static void test_limits_on_length(void **state)
{
    struct pn_decoder_options opt = options();
    opt.max_samples = PN_SAMPLE_RATE;
    struct pn_decoder_pool *p = pool_of(opt);
    struct pn_decoder *d = NULL;
    struct pn_err err = { 0 };
    int64_t samples = -1;
    int fd = tone_fd(1.5, 0.5);
    assert_int_equal(decode(p, fd, &samples, NULL, &err), -PN_ELIMIT);
    assert_int_equal(samples, 0); /* by the header's word, before anything was decoded */
    assert_non_null(strstr(err.text, "seconds"));
    err = (struct pn_err){ 0 };
    assert_int_equal(pn_decoder_open_pcm(p, fd, &d, &err), 0);
    assert_int_equal(drain(d, NULL, &err), -PN_ELIMIT);
    assert_true(pn_decoder_samples(d) <= PN_SAMPLE_RATE);
    pn_decoder_close(d);
    close(fd);
    expect_tone(p, 1.0, 0.5); /* exactly as long as allowed */
    pn_decoder_pool_free(p);
}

static void test_not_audio(void **state)
{
    struct pn_decoder_pool *p = pool_of(options());
    struct pn_err err = { 0 };
    int64_t samples;
    int fd = bytes_fd("this is no audio at all\n", 24);
    assert_int_equal(decode(p, fd, &samples, NULL, &err), -PN_EFORMAT);
    assert_non_null(strstr(err.text, "flac")); /* the text lists what is read */
    close(fd);
    fd = bytes_fd("", 0);
    assert_int_equal(decode(p, fd, &samples, NULL, NULL), -PN_EFORMAT);
    close(fd);
    fd = open("/tmp", O_RDONLY | O_CLOEXEC);
    struct pn_decoder *d = NULL;
    assert_int_equal(pn_decoder_open(p, fd, &d, NULL), -PN_EINVAL);
    assert_null(d);
    close(fd);
    expect_tone(p, 0.1, 0.5);
    pn_decoder_pool_free(p);
}

/* A minute fills the pipe many times, so the child is in the middle when the first samples are here. */
static int after_signal(int sig, struct pn_err *err)
{
    struct pn_decoder_options opt = options();
    opt.stall_s = 1;
    struct pn_decoder_pool *p = pool_of(opt);
    struct pn_decoder *d = NULL;
    int fd = tone_fd(60, 0.5);
    assert_int_equal(pn_decoder_open(p, fd, &d, NULL), 0);
    close(fd);
    read_first(d);
    assert_int_equal(kill(pn_decoder_pid(d), sig), 0);
    int r = drain(d, NULL, err);
    float more;
    struct pn_err again = { 0 };
    assert_int_equal(pn_decoder_read(d, &more, 1, &again), r);
    assert_string_equal(again.text, err->text);
    pn_decoder_close(d);
    expect_tone(p, 0.2, 0.7); /* the pool goes on */
    pn_decoder_pool_free(p);
    return r;
}

static void test_killed_in_the_middle(void **state)
{
    struct pn_err err = { 0 };
    assert_int_equal(after_signal(SIGKILL, &err), -PN_ECRASH);
    assert_non_null(strstr(err.text, "killed"));
}

static void test_crash_in_the_middle(void **state)
{
    struct pn_err err = { 0 };
    int sig = PN_SANITIZED ? SIGABRT : SIGSEGV; /* sanitizers catch SIGSEGV and fill the log */
    assert_int_equal(after_signal(sig, &err), -PN_ECRASH);
    assert_true(err.text[0] != '\0');
}

static void test_forbidden_call(void **state)
{
    struct pn_err err = { 0 };
    assert_int_equal(after_signal(SIGSYS, &err), -PN_ECRASH);
    assert_non_null(strstr(err.text, "forbidden"));
}

static void test_out_of_processor_time(void **state)
{
    struct pn_err err = { 0 };
    assert_int_equal(after_signal(SIGXCPU, &err), -PN_ELIMIT);
    assert_non_null(strstr(err.text, "processor"));
}

static void test_hang(void **state)
{
    struct pn_err err = { 0 };
    assert_int_equal(after_signal(SIGSTOP, &err), -PN_ETIMEOUT);
    assert_non_null(strstr(err.text, "nothing for 1 seconds"));
}

/* A terminal's or service manager's signals are for the parent. */
static void test_sigterm_does_not_reach_it(void **state)
{
    struct pn_err err = { 0 };
    assert_int_equal(after_signal(SIGTERM, &err), 0);
}

/* A caller that is away for longer than the stall time has not met a hang. */
static void test_back_pressure_is_no_hang(void **state)
{
    struct pn_decoder_options opt = options();
    opt.stall_s = 1;
    struct pn_decoder_pool *p = pool_of(opt);
    struct pn_decoder *d = NULL;
    struct pn_err err = { 0 };
    int fd = tone_fd(60, 0.5);
    assert_int_equal(pn_decoder_open(p, fd, &d, &err), 0);
    close(fd);
    read_first(d);
    usleep(1300000);
    assert_int_equal(drain(d, NULL, &err), 0);
    assert_int_equal(pn_decoder_samples(d), 60 * PN_SAMPLE_RATE);
    pn_decoder_close(d);
    pn_decoder_pool_free(p);
}

/* Our children, zombies included. */
static int count_children(pid_t found[], int cap)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task");
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        snprintf(path, sizeof(path), "/proc/self/task/%.20s/children", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
        for (int pid; f && fscanf(f, "%d", &pid) == 1; n++)
            if (n < cap)
                found[n] = pid;
        if (f)
            fclose(f);
    }
    closedir(dir);
    return n;
}

static int count_fds(const char *proc)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%s/fd", proc);
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    int n = 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static void test_idle_child_is_replaced(void **state)
{
    struct pn_decoder_pool *p = pool_of(options());
    pid_t idle = 0, next = 0;
    assert_int_equal(count_children(&idle, 1), 1);
    struct pollfd dead = { .fd = (int)syscall(SYS_pidfd_open, idle, 0), .events = POLLIN };
    assert_true(dead.fd >= 0);
    assert_int_equal(kill(idle, SIGKILL), 0);
    assert_int_equal(poll(&dead, 1, 10000), 1);
    close(dead.fd);
    expect_tone(p, 0.2, 0.3); /* at once, whoever notices first */
    for (int i = 0; i < 200 && (count_children(&next, 1) != 1 || next == idle); i++)
        usleep(50000);
    assert_true(next != idle);
    expect_tone(p, 0.2, 0.3);
    pn_decoder_pool_free(p);
    assert_int_equal(count_children(NULL, 0), 0);
}

static void test_descriptors_stay_here(void **state)
{
    int mine[20];
    for (size_t i = 0; i < PN_ARRAY_LEN(mine); i++)
        mine[i] = open("/dev/null", O_RDONLY); /* not close-on-exec, as some library's may be */
    struct pn_decoder_pool *p = pool_of(options());
    pid_t idle = 0;
    char name[24];
    assert_int_equal(count_children(&idle, 1), 1);
    snprintf(name, sizeof(name), "%d", idle);
    int n = count_fds(name);
    if (n >= 0) /* a process that may not be traced shows its descriptors to root only */
        assert_int_equal(n, 3);
    else
        assert_int_equal(errno, EACCES);
    pn_decoder_pool_free(p);
    for (size_t i = 0; i < PN_ARRAY_LEN(mine); i++)
        close(mine[i]);
}

static void test_nothing_is_left(void **state)
{
    int before = count_fds("self");
    struct pn_decoder_pool *p = pool_of(options());
    for (int i = 0; i < (PN_SANITIZED ? 20 : 200); i++) {
        if (i % 10 == 9) { /* given up in the middle */
            struct pn_decoder *d = NULL;
            int fd = tone_fd(30, 0.5);
            assert_int_equal(pn_decoder_open(p, fd, &d, NULL), 0);
            close(fd);
            read_first(d);
            pn_decoder_close(d);
        } else {
            expect_tone(p, 0.05, 0.5);
        }
    }
    assert_true(count_children(NULL, 0) <= 1); /* the idle one, or it is being started */
    pn_decoder_pool_free(p);
    assert_int_equal(count_children(NULL, 0), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(count_fds("self"), before);
}

enum { THREADS = 8, ROUNDS = PN_SANITIZED ? 3 : 10 };

struct worker {
    pthread_t thread;
    struct pn_decoder_pool *pool;
    int number;
    int wrong; /* decodes that did not give this worker's own tone */
};

static void *work(void *arg)
{
    struct worker *w = arg;
    double amplitude = 0.1 * (w->number + 1), seconds = 0.2 + 0.1 * w->number;
    int fd = tone_fd(seconds, amplitude);
    for (int i = 0; i < ROUNDS; i++) {
        int64_t samples = 0;
        double peak = 0;
        int r = decode(w->pool, fd, &samples, &peak, NULL);
        if (r != 0 || samples != (int64_t)(seconds * PN_SAMPLE_RATE) || fabs(peak - amplitude) > 0.01)
            w->wrong++;
    }
    close(fd);
    return NULL;
}

/* Threads end while others decode with children that were started meanwhile. */
static void test_threads(void **state)
{
    struct pn_decoder_pool *p = pool_of(options());
    struct worker w[THREADS];
    for (int i = 0; i < THREADS; i++) {
        w[i] = (struct worker){ .pool = p, .number = i };
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(w[i].thread, NULL);
        assert_int_equal(w[i].wrong, 0);
    }
    pn_decoder_pool_free(p);
}

static int pool_fails(const char *program, struct pn_err *err)
{
    struct pn_decoder_options opt = options();
    struct pn_decoder_pool *p = NULL;
    opt.program = program;
    int r = pn_decoder_pool_new(&opt, &p, err);
    assert_null(p);
    assert_int_equal(err->code, -r);
    return r;
}

static void test_wrong_programs(void **state)
{
    struct pn_err err = { 0 };
    assert_int_equal(pool_fails("/nonexistent/pinna-decode", &err), -PN_ENOTFOUND);
    err = (struct pn_err){ 0 };
    assert_int_equal(pool_fails("/etc/passwd", &err), -PN_EIO); /* not executable */
    err = (struct pn_err){ 0 };
    assert_int_equal(pool_fails("/bin/true", &err), -PN_ECRASH); /* ends without a word */
    err = (struct pn_err){ 0 };
    assert_int_equal(pool_fails("/bin/echo", &err), -PN_ECRASH); /* talks nonsense */
    err = (struct pn_err){ 0 };
    assert_int_equal(pool_fails("", &err), -PN_EINVAL);
}

/* More memory than the cage allows is the file's (or the setting's) fault, and said so. */
static void test_too_little_memory(void **state)
{
    if (PN_SANITIZED)
        skip(); /* sanitizers need terabytes of address space: no limit there */
    struct pn_decoder_options opt = options();
    struct pn_decoder_pool *p = NULL;
    struct pn_err err = { 0 };
    opt.memory_mb = 32; /* less than the libraries take */
    int r = pn_decoder_pool_new(&opt, &p, &err);
    if (r == 0) {
        int64_t samples = 0;
        int fd = tone_fd(1, 0.5);
        r = decode(p, fd, &samples, NULL, &err);
        close(fd);
        pn_decoder_pool_free(p);
    }
    assert_true(r == -PN_ELIMIT || r == -PN_ECRASH || r == -PN_EIO);
    assert_true(err.text[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decodes),
        cmocka_unit_test(test_cage_is_reported),
        cmocka_unit_test(test_raw_pcm),
        cmocka_unit_test(test_limits_on_length),
        cmocka_unit_test(test_not_audio),
        cmocka_unit_test(test_killed_in_the_middle),
        cmocka_unit_test(test_crash_in_the_middle),
        cmocka_unit_test(test_forbidden_call),
        cmocka_unit_test(test_out_of_processor_time),
        cmocka_unit_test(test_hang),
        cmocka_unit_test(test_sigterm_does_not_reach_it),
        cmocka_unit_test(test_back_pressure_is_no_hang),
        cmocka_unit_test(test_idle_child_is_replaced),
        cmocka_unit_test(test_descriptors_stay_here),
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_wrong_programs),
        cmocka_unit_test(test_too_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
