/* fake_clock.h - the monotonic clock of the program under test, moved by the test. Link with
 * -Wl,--wrap=pn_now_us. */
#ifndef PN_TESTS_FAKE_CLOCK_H
#define PN_TESTS_FAKE_CLOCK_H

#include <stdint.h>

void fake_clock_pass(int64_t us);
int64_t fake_clock_now(void);

#endif
