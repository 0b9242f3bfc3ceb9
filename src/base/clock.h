/* clock.h - time. Deadlines and durations use the monotonic clock only. */
#ifndef PN_BASE_CLOCK_H
#define PN_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t pn_now_us(void);  /* monotonic */
int64_t pn_wall_ms(void); /* Unix time */
/* Writes "2026-11-20T16:01:02.345Z" (UTC; 25 bytes with the NUL) for a Unix time in ms. */
void pn_format_utc(int64_t wall_ms, char out[32]);

#endif
