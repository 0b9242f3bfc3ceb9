/* test_base_signals.c - a signal reaches its reader whatever thread it was delivered to. */
#include "base/signals.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cmocka.h>

static void *sleep_on(void *fd)
{
    char c;
    ssize_t n = read(*(int *)fd, &c, 1);
    (void)n;
    return NULL;
}

static int next_signal(int fd)
{
    struct signalfd_siginfo info;
    struct pollfd p = { .fd = fd, .events = POLLIN };
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_int_equal(read(fd, &info, sizeof(info)), sizeof(info));
    return (int)info.ssi_signo;
}

/* A thread from before, as libraries start them, has nothing blocked. */
static void test_a_thread_that_was_there_before(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* it keeps signals back until the thread's next system call, and this thread sleeps in one */
#endif
    static const int NUMBERS[] = { SIGTERM, SIGINT, SIGHUP };
    int fds[2];
    struct pn_err err = { 0 };
    pthread_t before;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(pthread_create(&before, NULL, sleep_on, &fds[0]), 0);
    int fd = pn_signals_open(SFD_CLOEXEC, &err);
    assert_true(fd >= 0);
    for (size_t i = 0; i < PN_ARRAY_LEN(NUMBERS); i++) {
        assert_int_equal(pthread_kill(before, NUMBERS[i]), 0);
        assert_int_equal(next_signal(fd), NUMBERS[i]);
        assert_int_equal(kill(getpid(), NUMBERS[i]), 0);
        assert_int_equal(next_signal(fd), NUMBERS[i]);
    }
    close(fds[1]);
    pthread_join(before, NULL);
    close(fds[0]);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_thread_that_was_there_before) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
