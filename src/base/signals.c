/* signals.c - see signals.h.
 *
 * Blocking is not enough: a process's signal goes to any thread that does not block it, and the default
 * action there ends the program. A handler hands it on to the thread that waits for it, where it is blocked
 * and stays pending until it is read. */
#include "base/signals.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>

static pthread_t reader; /* written while the signals still have their default actions */

static void hand_on(int number)
{
    (void)pthread_kill(reader, number);
}

int pn_signals_open(int flags, struct pn_err *err)
{
    static const int NUMBERS[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = hand_on, .sa_flags = SA_RESTART };
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < PN_ARRAY_LEN(NUMBERS); i++)
        sigaddset(&set, NUMBERS[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    reader = pthread_self();
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < PN_ARRAY_LEN(NUMBERS); i++)
        sigaction(NUMBERS[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &set, flags);
    return fd < 0 ? pn_fail_errno(err, "signalfd") : fd;
}
