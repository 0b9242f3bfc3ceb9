/* fake_clock.c - see fake_clock.h. */
#include "fake_clock.h"

#include <stdatomic.h>

static _Atomic int64_t g_now_us = 1000000000000;

int64_t __wrap_pn_now_us(void);

int64_t __wrap_pn_now_us(void)
{
    return fake_clock_now();
}

int64_t fake_clock_now(void)
{
    return atomic_load(&g_now_us);
}

void fake_clock_pass(int64_t us)
{
    atomic_fetch_add(&g_now_us, us);
}
