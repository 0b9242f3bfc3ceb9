/* sandbox.c - see sandbox.h. Run once, by pinna-decode's only thread, before it touches a file.
 *
 * What must stay true: everything that needs an open file, a socket or a thread happens before
 * pn_sandbox_enter(). Landlock comes before seccomp because seccomp forbids its calls; limits on descriptors
 * come after landlock because its ruleset is one. */
#include "audio/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if PN_HAVE_SECCOMP
#include <seccomp.h>
#endif

static int limit(int resource, int64_t soft, int64_t hard, const char *name, struct pn_err *err)
{
    struct rlimit now, want = { .rlim_cur = (rlim_t)soft, .rlim_max = (rlim_t)hard };
    if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
        return pn_fail_errno(err, "cannot read the limit on %s", name);
    want.rlim_max = PN_MIN(want.rlim_max, now.rlim_max); /* RLIM_INFINITY is the largest value */
    want.rlim_cur = PN_MIN(want.rlim_cur, want.rlim_max);
    if (setrlimit((__rlimit_resource_t)resource, &want) < 0)
        return pn_fail_errno(err, "cannot limit %s", name);
    return 0;
}

/* SIGXCPU at the soft limit tells the parent why; the hard one a second later kills what ignores it. */
static int limit_common(const struct pn_sandbox_options *opt, struct pn_err *err)
{
    int r = limit(RLIMIT_CORE, 0, 0, "core dumps", err);
    return r < 0 ? r : limit(RLIMIT_CPU, opt->cpu_s, opt->cpu_s + 1, "processor time", err);
}

/* What a sanitizer's run-time cannot live with. NPROC counts a user's processes: 0 refuses any new one,
 * except for root. NOFILE 4: stdin, stdout, stderr and the file. */
static int limit_strict(const struct pn_sandbox_options *opt, struct pn_err *err)
{
    int64_t memory = opt->memory_mb << 20;
    int r = limit(RLIMIT_AS, memory, memory, "memory", err);
    if (r == 0 && !opt->by_hand)
        r = limit(RLIMIT_FSIZE, 0, 0, "file sizes", err);
    if (r == 0)
        r = limit(RLIMIT_NPROC, 0, 0, "processes", err);
    return r < 0 ? r : limit(RLIMIT_NOFILE, 4, 4, "descriptors", err);
}

/* Own definitions, from the kernel's documentation of landlock: the build machine's headers may be older than
 * the kernel it runs on. `fs` came with ABI 1, `net` with 4, `scoped` with 6. */
struct landlock_rules {
    uint64_t fs, net, scoped;
};

enum { NR_LANDLOCK_CREATE = 444, NR_LANDLOCK_RESTRICT = 446 }; /* the same on all architectures */

/* The rights that an ABI knows, all of which become forbidden since no rule allows any. */
static struct landlock_rules all_rights(int abi, size_t *ret_size)
{
    struct landlock_rules all = { .fs = (1 << 13) - 1 }; /* execute ... make_sym */
    *ret_size = offsetof(struct landlock_rules, net);
    if (abi >= 2)
        all.fs |= 1 << 13; /* refer */
    if (abi >= 3)
        all.fs |= 1 << 14; /* truncate */
    if (abi >= 5)
        all.fs |= 1 << 15; /* ioctl on devices */
    if (abi >= 4) {
        all.net = 3; /* bind and connect TCP */
        *ret_size = offsetof(struct landlock_rules, scoped);
    }
    if (abi >= 6) {
        all.scoped = 3; /* abstract sockets, signals */
        *ret_size = sizeof(all);
    }
    return all;
}

/* The ABI in force; 0 when the kernel has none or a container forbids it. Known up to ABI 7. */
static int landlock_enter(void)
{
    long abi = syscall(NR_LANDLOCK_CREATE, NULL, 0, 1 /* say the version */);
    if (abi <= 0)
        return 0;
    size_t size;
    struct landlock_rules all = all_rights((int)abi, &size);
    int fd = (int)syscall(NR_LANDLOCK_CREATE, &all, size, 0);
    if (fd < 0)
        return 0;
    long r = syscall(NR_LANDLOCK_RESTRICT, fd, 0);
    close(fd);
    return r < 0 ? 0 : (int)abi;
}

#if PN_HAVE_SECCOMP

/* Calls allowed whatever their arguments. madvise to brk: the allocator. */
static const int ALLOWED[] = { SCMP_SYS(read),           SCMP_SYS(pread64),      SCMP_SYS(lseek),
                               SCMP_SYS(close),          SCMP_SYS(madvise),      SCMP_SYS(munmap),
                               SCMP_SYS(mremap),         SCMP_SYS(brk),          SCMP_SYS(futex),
                               SCMP_SYS(exit_group),     SCMP_SYS(exit),         SCMP_SYS(rt_sigreturn),
                               SCMP_SYS(rt_sigprocmask), SCMP_SYS(getpid),       SCMP_SYS(gettid),
                               SCMP_SYS(clock_gettime),  SCMP_SYS(gettimeofday), SCMP_SYS(time),
                               SCMP_SYS(sched_yield),    SCMP_SYS(getrandom),    SCMP_SYS(restart_syscall) };

/* Memory without PROT_EXEC, messages from fd 0, output to fds 1 and 2, and abort()'s signal to itself. */
static int allow_some(scmp_filter_ctx ctx)
{
    const struct scmp_arg_cmp no_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    const struct scmp_arg_cmp self = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
    int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_exec);
    r |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_exec);
    r |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, self);
    r |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(recvmsg), 1, SCMP_A0(SCMP_CMP_EQ, 0, 0));
    for (scmp_datum_t fd = 1; fd <= 2; fd++) {
        r |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, fd, 0));
        r |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(writev), 1, SCMP_A0(SCMP_CMP_EQ, fd, 0));
    }
    return r;
}

static bool seccomp_enter(void)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!ctx)
        return false;
    int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) | allow_some(ctx);
    for (size_t i = 0; i < PN_ARRAY_LEN(ALLOWED); i++)
        r |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, ALLOWED[i], 0);
    r |= r == 0 ? seccomp_load(ctx) : 0;
    seccomp_release(ctx);
    return r == 0;
}

#else

static bool seccomp_enter(void)
{
    return false;
}

#endif

/* Two ways to more rights and, for a child, one to outlive the thread that started it. */
static int shut_privileges(const struct pn_sandbox_options *opt, struct pn_err *err)
{
    if ((!opt->by_hand && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return pn_fail_errno(err, "cannot give up privileges");
    if (!PN_SANITIZED && prctl(PR_SET_DUMPABLE, 0) < 0)
        return pn_fail_errno(err, "cannot forbid tracing");
    return 0;
}

int pn_sandbox_enter(const struct pn_sandbox_options *opt, struct pn_sandbox_report *ret, struct pn_err *err)
{
    struct pn_sandbox_report report = { 0 };
    int r = shut_privileges(opt, err);
    if (r == 0)
        r = limit_common(opt, err);
    if (r == 0 && !PN_SANITIZED) {
        report.landlock_abi = opt->skip_landlock ? 0 : landlock_enter();
        r = limit_strict(opt, err);
        if (r == 0)
            report.seccomp = !opt->skip_seccomp && seccomp_enter();
    }
    if (r == 0)
        *ret = report;
    return r;
}
