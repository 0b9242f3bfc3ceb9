/* sandbox_selftest.c - shows that the cage refuses what it must: `pinna-decode --selftest-sandbox`.
 *
 * Each attempt runs in a process of its own that enters the cage first: once the whole cage (seccomp kills),
 * once without seccomp so that landlock and the rlimits are seen to hold by themselves. An attempt tells
 * through its exit status: 0 it went through, else errno. */
#include "audio/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NO_CAGE = 255 }; /* an exit status that is no errno */

static int outcome(long r)
{
    return r < 0 ? errno : 0;
}

static int try_open(void)
{
    close(3); /* else the limit on descriptors refuses it first */
    return outcome(open("/etc/passwd", O_RDONLY));
}

static int try_create(void)
{
    close(3);
    return outcome(open("/tmp/pinna-decode-selftest", O_WRONLY | O_CREAT | O_EXCL, 0600));
}

static int try_unlink(void)
{
    return outcome(unlink("/tmp/pinna-decode-selftest-absent"));
}

static int try_socket(void)
{
    return outcome(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_execve(void)
{
    char name[] = "true";
    char *argv[] = { name, NULL };
    return outcome(execve("/bin/true", argv, NULL));
}

/* As fork does it, but without its handlers. */
static int try_fork(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
    if (pid == 0)
        _exit(0);
    return outcome(pid);
}

static int try_ptrace(void)
{
    return outcome(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int try_kill(void)
{
    return outcome(kill(getppid(), SIGCONT));
}

static int try_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}

/* fd 3 is where the file to decode lies. */
static int try_write_file(void)
{
    return outcome(write(3, "x", 1));
}

static int try_memory(void)
{
    void *p = mmap(NULL, (size_t)1 << 40, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? errno : 0;
}

/* Spins; the limit of one second must end it. */
static int try_cpu(void)
{
    for (volatile unsigned i = 0;; i++)
        ;
    return 0;
}

struct attempt {
    const char *name;
    int (*run)(void);
    enum { SECCOMP_ONLY, LANDLOCK_TOO, RLIMIT_TOO } layers; /* who refuses it */
};

static const struct attempt ATTEMPTS[] = {
    { "open", try_open, LANDLOCK_TOO },     { "create", try_create, LANDLOCK_TOO },
    { "unlink", try_unlink, SECCOMP_ONLY }, { "socket", try_socket, SECCOMP_ONLY },
    { "execve", try_execve, LANDLOCK_TOO }, { "fork", try_fork, SECCOMP_ONLY },
    { "ptrace", try_ptrace, LANDLOCK_TOO }, { "kill", try_kill, SECCOMP_ONLY },
    { "code", try_code, SECCOMP_ONLY },     { "write-file", try_write_file, SECCOMP_ONLY },
    { "memory", try_memory, RLIMIT_TOO },   { "cpu", try_cpu, RLIMIT_TOO },
};

/* A descriptor where decoding has its file; then the cage. */
static int enter(bool skip_seccomp, struct pn_sandbox_report *ret)
{
    struct pn_sandbox_options opt = { .memory_mb = 1024, .cpu_s = 1, .skip_seccomp = skip_seccomp };
    int fd = memfd_create("selftest", MFD_CLOEXEC);
    if (fd < 0 || dup2(fd, 3) < 0)
        return -PN_EIO;
    if (fd != 3)
        close(fd);
    return pn_sandbox_enter(&opt, ret, NULL);
}

/* 1 when it was not refused. */
static int tell(const char *name, bool skip_seccomp, int status)
{
    const char *how = skip_seccomp ? " without seccomp" : "";
    bool refused = WIFSIGNALED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != NO_CAGE);
    if (WIFSIGNALED(status))
        printf("%s%s: killed by SIG%s\n", name, how, sigabbrev_np(WTERMSIG(status)));
    else if (refused)
        printf("%s%s: refused: %s\n", name, how, strerrorname_np(WEXITSTATUS(status)));
    else
        printf("%s%s: %s\n", name, how, WEXITSTATUS(status) ? "NO CAGE" : "ALLOWED");
    return !refused;
}

static int run(const struct attempt *a, bool skip_seccomp)
{
    struct pn_sandbox_report report;
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(enter(skip_seccomp, &report) < 0 ? NO_CAGE : a->run());
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 1;
    return tell(a->name, skip_seccomp, status);
}

/* What the cage is made of here; learned by a child, whose exit status says it. */
static int layers(struct pn_sandbox_report *ret)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(enter(false, ret) < 0 ? NO_CAGE : ret->landlock_abi * 2 + ret->seccomp);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) == NO_CAGE)
        return -PN_EIO;
    ret->seccomp = WEXITSTATUS(status) & 1;
    ret->landlock_abi = WEXITSTATUS(status) / 2;
    return 0;
}

int pn_sandbox_selftest(void)
{
    struct pn_sandbox_report report = { 0 };
    if (layers(&report) < 0) {
        printf("no cage\n");
        return 1;
    }
    printf("seccomp: %s\nlandlock: %d\n", report.seccomp ? "yes" : "no", report.landlock_abi);
    int failures = 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(ATTEMPTS); i++) {
        const struct attempt *a = &ATTEMPTS[i];
        if (report.seccomp)
            failures += run(a, false);
        if (a->layers == RLIMIT_TOO || (a->layers == LANDLOCK_TOO && report.landlock_abi > 0))
            failures += run(a, true);
    }
    return failures;
}
