/* test_base_metrics.c - counting, the exposition format, the bound on series, many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const double BUCKETS[] = { 0.5, 1, 2.5 };

static struct pn_metrics *new_metrics(void)
{
    struct pn_metrics *m = NULL;
    assert_int_equal(pn_metrics_new(&m), 0);
    return m;
}

static struct pn_buf rendered(struct pn_metrics *m)
{
    struct pn_buf b;
    pn_buf_init(&b, 1 << 20);
    pn_metrics_render(m, &b);
    assert_int_equal(b.failed, 0);
    return b;
}

static void test_exposition(void **state)
{
    struct pn_metrics *m = new_metrics();
    struct pn_metric *c = pn_metrics_counter(m, "jobs_total", "Jobs \\ of\nall kinds", "language,model");
    struct pn_metric *g = pn_metrics_gauge(m, "queue", "Waiting", "");
    struct pn_metric *h =
        pn_metrics_histogram(m, "took_seconds", "Time", "model", BUCKETS, PN_ARRAY_LEN(BUCKETS));
    pn_metric_add(c, 1, "en", "sphinx");
    pn_metric_add(c, 2, "en", "sphinx");
    pn_metric_add(c, 0.5, "a\"b\\c\nd", "\xff");
    pn_metric_set(g, -3.25);
    pn_metric_observe(h, 0.5, "s");
    pn_metric_observe(h, 2, "s");
    pn_metric_observe(h, 99, "s");
    struct pn_buf b = rendered(m);
    assert_string_equal(b.ptr, "# HELP jobs_total Jobs \\\\ of\\nall kinds\n"
                               "# TYPE jobs_total counter\n"
                               "jobs_total{language=\"en\",model=\"sphinx\"} 3\n"
                               "jobs_total{language=\"a\\\"b\\\\c\\nd\",model=\"\xef\xbf\xbd\"} 0.5\n"
                               "# HELP queue Waiting\n"
                               "# TYPE queue gauge\n"
                               "queue -3.25\n"
                               "# HELP took_seconds Time\n"
                               "# TYPE took_seconds histogram\n"
                               "took_seconds_bucket{model=\"s\",le=\"0.5\"} 1\n"
                               "took_seconds_bucket{model=\"s\",le=\"1\"} 1\n"
                               "took_seconds_bucket{model=\"s\",le=\"2.5\"} 2\n"
                               "took_seconds_bucket{model=\"s\",le=\"+Inf\"} 3\n"
                               "took_seconds_sum{model=\"s\"} 101.5\n"
                               "took_seconds_count{model=\"s\"} 3\n");
    pn_buf_done(&b);
    assert_null(pn_metrics_free(m));
    assert_null(pn_metrics_free(NULL));
}

static void test_starts_at_zero(void **state)
{
    struct pn_metrics *m = new_metrics();
    pn_metrics_counter(m, "a_total", "A", "");
    pn_metrics_counter(m, "b_total", "B", "x");
    struct pn_buf b = rendered(m);
    assert_non_null(strstr(b.ptr, "\na_total 0\n"));
    assert_null(strstr(b.ptr, "b_total{"));
    pn_buf_done(&b);
    pn_metrics_free(m);
}

static void test_wrong_values_are_ignored(void **state)
{
    struct pn_metrics *m = new_metrics();
    struct pn_metric *c = pn_metrics_counter(m, "c_total", "C", "");
    struct pn_metric *h = pn_metrics_histogram(m, "h", "H", "", BUCKETS, PN_ARRAY_LEN(BUCKETS));
    pn_metric_add(c, 4);
    pn_metric_add(c, -1);
    pn_metric_add(c, NAN);
    pn_metric_set(c, 100);
    pn_metric_observe(h, NAN);
    pn_metric_observe(h, INFINITY);
    pn_metric_add(h, 1);
    assert_true(pn_metric_total(c) == 4);
    assert_true(pn_metric_total(h) == 0 && pn_metric_sum(h) == 0);
    pn_metric_add(NULL, 1);
    pn_metric_set(NULL, 1);
    pn_metric_observe(NULL, 1);
    assert_true(pn_metric_total(NULL) == 0 && pn_metric_quantile(NULL, 0.5) == 0 && pn_metric_sum(NULL) == 0);
    pn_metrics_free(m);
}

static size_t count_lines(const char *text, const char *prefix)
{
    size_t n = 0;
    for (const char *p = strstr(text, prefix); p; p = strstr(p + 1, prefix))
        n++;
    return n;
}

static void test_series_are_bounded(void **state)
{
    struct pn_metrics *m = new_metrics();
    struct pn_metric *c = pn_metrics_counter(m, "c_total", "C", "x");
    for (int i = 0; i < 1000; i++) {
        char value[4096]; /* long ones are cut off */
        memset(value, 'v', sizeof(value));
        snprintf(value, sizeof(value), "%d", i);
        value[strlen(value)] = '-';
        value[sizeof(value) - 1] = 0;
        pn_metric_add(c, 1, value);
        pn_metric_add(c, 1, value);
    }
    struct pn_buf b = rendered(m);
    assert_int_equal(count_lines(b.ptr, "\nc_total{"), PN_METRIC_SERIES);
    assert_non_null(strstr(b.ptr, "c_total{x=\"other\"} 1874\n")); /* 2 * (1000 - 63) */
    assert_true(b.len < PN_METRIC_SERIES * 200);
    assert_true(pn_metric_total(c) == 2000);
    pn_buf_done(&b);
    pn_metrics_free(m);
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void test_quantiles(void **state)
{
    struct pn_metrics *m = new_metrics();
    struct pn_metric *h = pn_metrics_histogram(m, "h", "H", "x", BUCKETS, PN_ARRAY_LEN(BUCKETS));
    assert_true(pn_metric_quantile(h, 0.5) == 0);
    for (int i = 0; i < 10; i++)
        pn_metric_observe(h, 0.7, i % 2 ? "a" : "b"); /* all in (0.5, 1] */
    assert_true(near(pn_metric_quantile(h, 0.5), 0.75));
    assert_true(near(pn_metric_quantile(h, 1), 1));
    assert_true(near(pn_metric_quantile(h, 0), 0.5));
    for (int i = 0; i < 10; i++)
        pn_metric_observe(h, 50, "a"); /* in +Inf, which has no upper end */
    assert_true(near(pn_metric_quantile(h, 0.25), 0.75));
    assert_true(near(pn_metric_quantile(h, 0.99), 2.5));
    assert_true(near(pn_metric_total(h), 20) && near(pn_metric_sum(h), 507));
    pn_metrics_free(m);
}

#define THREADS 4
#define EACH    20000

struct shared {
    struct pn_metrics *m;
    struct pn_metric *c, *h;
};

static void *count_many(void *arg)
{
    const struct shared *s = arg;
    static const char *const NAMES[] = { "a", "b", "c" };
    for (int i = 0; i < EACH; i++) {
        pn_metric_add(s->c, 1, NAMES[i % 3]);
        pn_metric_observe(s->h, i % 4, NAMES[i % 3]);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    struct shared s = { .m = new_metrics() };
    s.c = pn_metrics_counter(s.m, "c_total", "C", "x");
    s.h = pn_metrics_histogram(s.m, "h", "H", "x", BUCKETS, PN_ARRAY_LEN(BUCKETS));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count_many, &s);
    for (int i = 0; i < 50; i++) {
        struct pn_buf b = rendered(s.m);
        pn_buf_done(&b);
        assert_true(pn_metric_quantile(s.h, 0.9) <= 2.5);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(pn_metric_total(s.c) == THREADS * EACH);
    assert_true(pn_metric_total(s.h) == THREADS * EACH);
    assert_true(pn_metric_sum(s.h) == THREADS * EACH * 1.5);
    pn_metrics_free(s.m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exposition),
        cmocka_unit_test(test_starts_at_zero),
        cmocka_unit_test(test_wrong_values_are_ignored),
        cmocka_unit_test(test_series_are_bounded),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
