/* metrics.c - see metrics.h.
 *
 * Every metric has its own mutex, held for a few comparisons and additions. Series are only ever appended and
 * their labels never change, so rendering copies the numbers under the mutex and formats them outside. */
#include "base/metrics.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LABELS      4
#define MAX_LABEL_BYTES 128 /* of one value; the rest is cut off */
#define LABELS_TEXT_MAX 8192

enum metric_type { COUNTER, GAUGE, HISTOGRAM };

/* `numbers` of a counter or gauge: the value. Of a histogram: a count a bucket (+Inf last), then the sum. */
struct series {
    char values[MAX_LABELS][MAX_LABEL_BYTES + 1]; /* as given, cut off */
    char *labels;                                 /* `model="a",language="b"`, escaped; owned */
    double *numbers;                              /* guarded by the metric's mu; owned */
};

struct pn_metric {
    struct pn_metric *next;
    enum metric_type type;
    const char *name, *help, *labels;
    size_t n_labels;
    const double *bounds; /* of histograms */
    size_t n_bounds;
    size_t n_numbers; /* of each series */
    pthread_mutex_t mu;
    size_t n_series;                         /* guarded by mu */
    struct series *series[PN_METRIC_SERIES]; /* guarded by mu; entries stay once they are there */
};

struct pn_metrics {
    pthread_mutex_t mu;
    struct pn_metric *first, **tail; /* guarded by mu; entries stay until the registry is freed */
};

int pn_metrics_new(struct pn_metrics **ret)
{
    struct pn_metrics *m = calloc(1, sizeof(*m));
    if (!m)
        return -PN_ENOMEM;
    pthread_mutex_init(&m->mu, NULL);
    m->tail = &m->first;
    *ret = m;
    return 0;
}

static void series_free(struct series *s)
{
    if (!s)
        return;
    free(s->labels);
    free(s->numbers);
    free(s);
}

static void metric_free(struct pn_metric *metric)
{
    for (size_t i = 0; i < metric->n_series; i++)
        series_free(metric->series[i]);
    pthread_mutex_destroy(&metric->mu);
    free(metric);
}

struct pn_metrics *pn_metrics_free(struct pn_metrics *m)
{
    if (!m)
        return NULL;
    for (struct pn_metric *metric = m->first, *next; metric; metric = next) {
        next = metric->next;
        metric_free(metric);
    }
    pthread_mutex_destroy(&m->mu);
    free(m);
    return NULL;
}

static size_t count_labels(const char *labels)
{
    size_t n = labels[0] ? 1 : 0;
    for (const char *p = labels; *p; p++)
        n += *p == ',';
    assert(n <= MAX_LABELS);
    return PN_MIN(n, MAX_LABELS);
}

/* Label values in the exposition format: backslash, quote and newline escaped, invalid UTF-8 replaced. */
static void put_label_value(struct pn_buf *out, struct pn_str v)
{
    while (v.len > 0) {
        size_t n = pn_utf8_next(v, NULL);
        if (n == 0)
            pn_buf_puts(out, "\xef\xbf\xbd");
        else if (v.ptr[0] == '\n')
            pn_buf_puts(out, "\\n");
        else if (v.ptr[0] == '"' || v.ptr[0] == '\\')
            pn_buf_printf(out, "\\%c", v.ptr[0]);
        else
            pn_buf_append(out, v.ptr, n);
        n = PN_MAX(n, 1);
        v = (struct pn_str){ v.ptr + n, v.len - n };
    }
}

static int format_labels(const struct pn_metric *metric, struct series *s)
{
    struct pn_buf out;
    pn_buf_init(&out, LABELS_TEXT_MAX);
    const char *name = metric->labels;
    for (size_t i = 0; i < metric->n_labels; i++) {
        size_t len = strcspn(name, ",");
        pn_buf_puts(&out, i > 0 ? "," : "");
        pn_buf_append(&out, name, len);
        pn_buf_puts(&out, "=\"");
        put_label_value(&out, pn_str(s->values[i]));
        pn_buf_putc(&out, '"');
        name += len + (name[len] == ',');
    }
    size_t ignored;
    int r = pn_buf_take(&out, &s->labels, &ignored);
    pn_buf_done(&out);
    return r;
}

static struct series *series_new(const struct pn_metric *metric, const char *const *values)
{
    struct series *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    for (size_t i = 0; i < metric->n_labels; i++)
        memcpy(s->values[i], values[i], strnlen(values[i], MAX_LABEL_BYTES));
    s->numbers = calloc(metric->n_numbers, sizeof(double));
    if (!s->numbers || format_labels(metric, s) < 0) {
        series_free(s);
        return NULL;
    }
    return s;
}

static bool series_matches(const struct pn_metric *metric, const struct series *s, const char *const *values)
{
    for (size_t i = 0; i < metric->n_labels; i++)
        if (strncmp(s->values[i], values[i], MAX_LABEL_BYTES) != 0)
            return false;
    return true;
}

/* With mu held. Makes the series unless the metric has `max` already; NULL then or without memory. */
static struct series *find_series(struct pn_metric *metric, const char *const *values, size_t max)
{
    for (size_t i = 0; i < metric->n_series; i++)
        if (series_matches(metric, metric->series[i], values))
            return metric->series[i];
    struct series *s = metric->n_series < max ? series_new(metric, values) : NULL;
    if (s)
        metric->series[metric->n_series++] = s;
    return s;
}

/* With mu held: the series for these values, the last place being kept for "other". */
static struct series *get_series(struct pn_metric *metric, va_list ap)
{
    static const char *const OTHER[MAX_LABELS] = { "other", "other", "other", "other" };
    const char *values[MAX_LABELS] = { 0 };
    for (size_t i = 0; i < metric->n_labels; i++) {
        values[i] = va_arg(ap, const char *);
        values[i] = values[i] ? values[i] : "";
    }
    struct series *s = find_series(metric, values, PN_METRIC_SERIES - 1);
    return s ? s : find_series(metric, OTHER, PN_METRIC_SERIES);
}

/* Without labels the series is there from the start, so that it is exposed as 0. */
static int add_plain_series(struct pn_metric *metric)
{
    static const char *const NONE[MAX_LABELS] = { 0 };
    return metric->n_labels > 0 || find_series(metric, NONE, 1) ? 0 : -PN_ENOMEM;
}

static struct pn_metric *add_metric(struct pn_metrics *m, const struct pn_metric *shape)
{
    struct pn_metric *metric = malloc(sizeof(*metric));
    if (!metric)
        return NULL;
    *metric = *shape;
    metric->n_labels = count_labels(shape->labels);
    pthread_mutex_init(&metric->mu, NULL);
    if (add_plain_series(metric) < 0) {
        metric_free(metric);
        return NULL;
    }
    pthread_mutex_lock(&m->mu);
    *m->tail = metric;
    m->tail = &metric->next;
    pthread_mutex_unlock(&m->mu);
    return metric;
}

struct pn_metric *pn_metrics_counter(struct pn_metrics *m, const char *name, const char *help,
                                     const char *labels)
{
    struct pn_metric shape = {
        .type = COUNTER, .name = name, .help = help, .labels = labels, .n_numbers = 1
    };
    return add_metric(m, &shape);
}

struct pn_metric *pn_metrics_gauge(struct pn_metrics *m, const char *name, const char *help,
                                   const char *labels)
{
    struct pn_metric shape = { .type = GAUGE, .name = name, .help = help, .labels = labels, .n_numbers = 1 };
    return add_metric(m, &shape);
}

struct pn_metric *pn_metrics_histogram(struct pn_metrics *m, const char *name, const char *help,
                                       const char *labels, const double *buckets, size_t n)
{
    struct pn_metric shape = { .type = HISTOGRAM,
                               .name = name,
                               .help = help,
                               .labels = labels,
                               .bounds = buckets,
                               .n_bounds = n,
                               .n_numbers = n + 2 };
    return add_metric(m, &shape);
}

void pn_metric_add(struct pn_metric *metric, double v, ...)
{
    /* A counter that went down would read as a restart. */
    if (!metric || !isfinite(v) || metric->type == HISTOGRAM || (metric->type == COUNTER && v < 0))
        return;
    va_list ap;
    va_start(ap, v);
    pthread_mutex_lock(&metric->mu);
    struct series *s = get_series(metric, ap);
    if (s)
        s->numbers[0] += v;
    pthread_mutex_unlock(&metric->mu);
    va_end(ap);
}

void pn_metric_set(struct pn_metric *metric, double v, ...)
{
    if (!metric || metric->type != GAUGE)
        return;
    va_list ap;
    va_start(ap, v);
    pthread_mutex_lock(&metric->mu);
    struct series *s = get_series(metric, ap);
    if (s)
        s->numbers[0] = v;
    pthread_mutex_unlock(&metric->mu);
    va_end(ap);
}

void pn_metric_observe(struct pn_metric *metric, double v, ...)
{
    if (!metric || !isfinite(v) || metric->type != HISTOGRAM)
        return;
    size_t bucket = 0;
    while (bucket < metric->n_bounds && v > metric->bounds[bucket])
        bucket++;
    va_list ap;
    va_start(ap, v);
    pthread_mutex_lock(&metric->mu);
    struct series *s = get_series(metric, ap);
    if (s) {
        s->numbers[bucket]++;
        s->numbers[metric->n_bounds + 1] += v;
    }
    pthread_mutex_unlock(&metric->mu);
    va_end(ap);
}

/* Sum of numbers[from..to] over all series. */
static double sum_numbers(struct pn_metric *metric, size_t from, size_t to)
{
    double sum = 0;
    pthread_mutex_lock(&metric->mu);
    for (size_t i = 0; i < metric->n_series; i++)
        for (size_t k = from; k <= to; k++)
            sum += metric->series[i]->numbers[k];
    pthread_mutex_unlock(&metric->mu);
    return sum;
}

double pn_metric_total(struct pn_metric *metric)
{
    return metric ? sum_numbers(metric, 0, metric->type == HISTOGRAM ? metric->n_bounds : 0) : 0;
}

double pn_metric_sum(struct pn_metric *metric)
{
    bool histogram = metric && metric->type == HISTOGRAM;
    return histogram ? sum_numbers(metric, metric->n_bounds + 1, metric->n_bounds + 1) : 0;
}

/* The value at `rank` observations inside bucket `k`, which holds `in_bucket` of them, evenly spread. */
static double interpolate(const struct pn_metric *metric, size_t k, double rank, double in_bucket)
{
    if (metric->n_bounds == 0)
        return 0;
    if (k == metric->n_bounds) /* +Inf has no end to interpolate to */
        return metric->bounds[k - 1];
    double high = metric->bounds[k];
    double low = k > 0 ? metric->bounds[k - 1] : PN_MIN(0.0, high);
    return low + (high - low) * PN_MAX(0.0, PN_MIN(1.0, rank / in_bucket));
}

double pn_metric_quantile(struct pn_metric *metric, double q)
{
    if (!metric || metric->type != HISTOGRAM)
        return 0;
    double rank = PN_MAX(0.0, PN_MIN(1.0, q)) * pn_metric_total(metric), value = 0;
    for (size_t k = 0; k <= metric->n_bounds; k++) {
        double in_bucket = sum_numbers(metric, k, k);
        if (in_bucket > 0) {
            value = interpolate(metric, k, rank, in_bucket);
            if (rank <= in_bucket)
                break;
        }
        rank -= in_bucket;
    }
    return value;
}

static void put_number(struct pn_buf *out, double v)
{
    char text[32];
    pn_format_f64(v, text);
    pn_buf_puts(out, isnan(v) ? "NaN" : isinf(v) ? (v > 0 ? "+Inf" : "-Inf") : text);
}

/* `name_suffix{labels,le="bound"} v` and a newline; `bound` NULL: no such label. */
static void put_sample(struct pn_buf *out, const struct pn_metric *metric, const char *suffix,
                       const char *labels, const double *bound, double v)
{
    pn_buf_printf(out, "%s%s", metric->name, suffix);
    if (labels[0] || bound)
        pn_buf_printf(out, "{%s%s", labels, labels[0] && bound ? "," : "");
    if (bound) {
        pn_buf_puts(out, "le=\"");
        put_number(out, *bound);
        pn_buf_putc(out, '"');
    }
    pn_buf_puts(out, labels[0] || bound ? "} " : " ");
    put_number(out, v);
    pn_buf_putc(out, '\n');
}

static void put_histogram(struct pn_buf *out, const struct pn_metric *metric, const char *labels,
                          const double *numbers)
{
    double count = 0;
    for (size_t k = 0; k <= metric->n_bounds; k++) {
        double bound = k < metric->n_bounds ? metric->bounds[k] : (double)INFINITY;
        count += numbers[k];
        put_sample(out, metric, "_bucket", labels, &bound, count);
    }
    put_sample(out, metric, "_sum", labels, NULL, numbers[metric->n_bounds + 1]);
    put_sample(out, metric, "_count", labels, NULL, count);
}

/* HELP texts escape backslash and newline only. */
static void put_head(struct pn_buf *out, const struct pn_metric *metric)
{
    static const char *const TYPES[] = { "counter", "gauge", "histogram" };
    pn_buf_printf(out, "# HELP %s ", metric->name);
    for (const char *p = metric->help; *p; p++) {
        if (*p == '\n' || *p == '\\')
            pn_buf_puts(out, *p == '\n' ? "\\n" : "\\\\");
        else
            pn_buf_putc(out, *p);
    }
    pn_buf_printf(out, "\n# TYPE %s %s\n", metric->name, TYPES[metric->type]);
}

/* One metric's series at one moment. */
struct snapshot {
    size_t n;
    const char *labels[PN_METRIC_SERIES]; /* the series' own */
    double *numbers;                      /* n * n_numbers; owned */
};

static int take_snapshot(struct pn_metric *metric, struct snapshot *ret)
{
    double *numbers = malloc(PN_METRIC_SERIES * metric->n_numbers * sizeof(double));
    if (!numbers)
        return -PN_ENOMEM;
    pthread_mutex_lock(&metric->mu);
    ret->n = metric->n_series;
    for (size_t i = 0; i < ret->n; i++) {
        ret->labels[i] = metric->series[i]->labels;
        memcpy(numbers + i * metric->n_numbers, metric->series[i]->numbers,
               metric->n_numbers * sizeof(double));
    }
    pthread_mutex_unlock(&metric->mu);
    ret->numbers = numbers;
    return 0;
}

static void render_metric(struct pn_metric *metric, struct pn_buf *out)
{
    struct snapshot snap;
    if (take_snapshot(metric, &snap) < 0) {
        out->failed = out->failed ? out->failed : -PN_ENOMEM;
        return;
    }
    put_head(out, metric);
    for (size_t i = 0; i < snap.n; i++) {
        const double *numbers = snap.numbers + i * metric->n_numbers;
        if (metric->type == HISTOGRAM)
            put_histogram(out, metric, snap.labels[i], numbers);
        else
            put_sample(out, metric, "", snap.labels[i], NULL, numbers[0]);
    }
    free(snap.numbers);
}

void pn_metrics_render(struct pn_metrics *m, struct pn_buf *out)
{
    pthread_mutex_lock(&m->mu);
    struct pn_metric *metric = m->first;
    pthread_mutex_unlock(&m->mu);
    while (metric) {
        render_metric(metric, out);
        pthread_mutex_lock(&m->mu);
        metric = metric->next;
        pthread_mutex_unlock(&m->mu);
    }
}
