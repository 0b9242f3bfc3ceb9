/* test_base_memory.c - arenas and growing buffers: limits, sticky failures, clean-ups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static struct pn_arena *new_arena(size_t limit)
{
    struct pn_arena *a = NULL;
    assert_int_equal(pn_arena_new(limit, &a), 0);
    assert_non_null(a);
    return a;
}

static void test_arena_aligned_and_zeroed(void **state)
{
    struct pn_arena *a = new_arena(1 << 20);
    for (int round = 0; round < 3; round++) {
        for (size_t n = 0; n < 300; n++) {
            unsigned char *p = pn_arena_alloc(a, n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xff, n); /* what a reset must clean */
        }
        pn_arena_reset(a);
    }
    assert_null(pn_arena_free(a));
    assert_null(pn_arena_free(NULL));
}

static void test_arena_limit(void **state)
{
    struct pn_arena *a = new_arena(10000);
    assert_null(pn_arena_alloc(a, 10001));
    assert_null(pn_arena_alloc(a, SIZE_MAX));
    assert_null(pn_arena_alloc(a, SIZE_MAX - 8));
    assert_null(pn_arena_strndup(a, "x", SIZE_MAX));
    size_t total = 0;
    while (pn_arena_alloc(a, 100))
        total += 112;
    while (pn_arena_alloc(a, 1))
        total += 16;
    assert_true(total > 9800 && total <= 10000);
    assert_null(pn_arena_str(a, PN_STR("x")));
    assert_int_equal(pn_arena_on_reset(a, free, NULL), -PN_ENOMEM);
    pn_arena_reset(a);
    assert_non_null(pn_arena_alloc(a, 5000)); /* there is room again */
    pn_arena_free(a);
}

static void test_arena_strings(void **state)
{
    struct pn_arena *a = new_arena(1 << 16);
    assert_string_equal(pn_arena_strndup(a, "abcdef", 3), "abc");
    assert_string_equal(pn_arena_str(a, (struct pn_str){ 0 }), "");
    assert_string_equal(pn_arena_printf(a, "%d-%s", 7, "x"), "7-x");
    char *big = pn_arena_printf(a, "%5000d", 1);
    assert_int_equal(strlen(big), 5000);
    assert_null(pn_arena_printf(a, "%70000d", 1));
    pn_arena_free(a);
}

static char order[8];

static void note(void *arg)
{
    size_t n = strlen(order);
    order[n] = *(const char *)arg;
    order[n + 1] = 0;
}

static void test_arena_cleanups(void **state)
{
    struct pn_arena *a = new_arena(1 << 16);
    order[0] = 0;
    assert_int_equal(pn_arena_on_reset(a, note, "1"), 0);
    assert_int_equal(pn_arena_on_reset(a, note, "2"), 0);
    pn_arena_reset(a);
    assert_string_equal(order, "21");
    pn_arena_reset(a);
    assert_string_equal(order, "21"); /* once only */
    assert_int_equal(pn_arena_on_reset(a, note, "3"), 0);
    pn_arena_free(a);
    assert_string_equal(order, "213");
}

static void test_buf_appends(void **state)
{
    struct pn_buf b;
    pn_buf_init(&b, 1 << 20);
    assert_null(b.ptr);
    pn_buf_puts(&b, "ab");
    pn_buf_putc(&b, 'c');
    pn_buf_str(&b, PN_STR("de"));
    pn_buf_str(&b, (struct pn_str){ 0 });
    pn_buf_printf(&b, "%04d", 42);
    assert_string_equal(b.ptr, "abcde0042");
    for (int i = 0; i < 10000; i++)
        pn_buf_putc(&b, 'x');
    assert_int_equal(b.len, 10009);
    assert_int_equal(strlen(b.ptr), 10009);
    pn_buf_done(&b);
    assert_null(b.ptr);
}

static void test_buf_limit_is_sticky(void **state)
{
    struct pn_buf b;
    pn_buf_init(&b, 8);
    pn_buf_puts(&b, "12345678");
    assert_int_equal(b.failed, 0);
    pn_buf_putc(&b, '9');
    assert_int_equal(b.failed, -PN_ELIMIT);
    assert_string_equal(b.ptr, "12345678");
    char *taken = NULL;
    size_t len = 0;
    assert_int_equal(pn_buf_take(&b, &taken, &len), -PN_ELIMIT);
    assert_null(taken);
    pn_buf_clear(&b);
    pn_buf_puts(&b, "123456");
    pn_buf_printf(&b, "%d", 789);
    assert_int_equal(b.failed, -PN_ELIMIT);
    pn_buf_puts(&b, "7"); /* would fit, but a hole before it would be worse */
    assert_string_equal(b.ptr, "123456");
    pn_buf_done(&b);
}

static void test_buf_take(void **state)
{
    struct pn_buf b;
    char *taken = NULL;
    size_t len = 1;
    pn_buf_init(&b, 100);
    assert_int_equal(pn_buf_take(&b, &taken, &len), 0);
    assert_int_equal(len, 0);
    assert_string_equal(taken, ""); /* never NULL */
    free(taken);
    pn_buf_puts(&b, "abc");
    assert_int_equal(pn_buf_take(&b, &taken, &len), 0);
    assert_string_equal(taken, "abc");
    assert_int_equal(len, 3);
    assert_int_equal(b.len, 0);
    free(taken);
    pn_buf_puts(&b, "again");
    assert_string_equal(b.ptr, "again");
    pn_buf_done(&b);
}

static void test_buf_without_memory(void **state)
{
    if (PN_SANITIZED) /* they end the program over such a wish */
        skip();
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    pn_buf_puts(&b, "kept");
    pn_buf_append(&b, "x", (size_t)PTRDIFF_MAX - 100); /* no malloc gives that much */
    assert_int_equal(b.failed, -PN_ENOMEM);
    assert_string_equal(b.ptr, "kept");
    pn_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_aligned_and_zeroed),
        cmocka_unit_test(test_arena_limit),
        cmocka_unit_test(test_arena_strings),
        cmocka_unit_test(test_arena_cleanups),
        cmocka_unit_test(test_buf_appends),
        cmocka_unit_test(test_buf_limit_is_sticky),
        cmocka_unit_test(test_buf_take),
        cmocka_unit_test(test_buf_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
