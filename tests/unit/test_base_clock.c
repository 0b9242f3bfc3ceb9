/* test_base_clock.c - UTC formatting and the two clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

static void test_utc(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } CASES[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { 1795190462345, "2026-11-20T16:01:02.345Z" },
        { 951782400000, "2000-02-29T00:00:00.000Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { 253402300799999, "9999-12-31T23:59:59.999Z" },
        { INT64_MAX, "292278994-08-17T07:12:55.807Z" },
    };
    char out[32];
    setenv("TZ", "Asia/Shanghai", 1); /* the zone must not matter */
    tzset();
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        pn_format_utc(CASES[i].ms, out);
        assert_string_equal(out, CASES[i].text);
    }
}

static void test_clocks_run(void **state)
{
    int64_t a = pn_now_us(), wall = pn_wall_ms();
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    assert_in_range(pn_now_us() - a, 20000, 5000000);
    assert_in_range(pn_wall_ms() - wall, 15, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_utc), cmocka_unit_test(test_clocks_run) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
