/* clock.c - see clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

int64_t pn_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t pn_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void pn_format_utc(int64_t wall_ms, char out[32])
{
    int64_t ms = wall_ms % 1000, s = wall_ms / 1000;
    if (ms < 0) { /* before 1970: the fraction counts forwards, too */
        ms += 1000;
        s--;
    }
    time_t seconds = (time_t)s;
    struct tm tm;
    if (!gmtime_r(&seconds, &tm))
        tm = (struct tm){ .tm_year = 70, .tm_mday = 1 };
    char day[27]; /* a year has up to nine digits here */
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, 32, "%s.%03uZ", day, (unsigned)ms % 1000);
}
