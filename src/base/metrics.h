/* metrics.h - counters, gauges and histograms, and their Prometheus text exposition (format 0.0.4).
 *
 * A registry owns its metrics; metrics are made at start and live until the registry is freed. Updating
 * is cheap and may be done by any thread. A metric with labels holds at most PN_METRIC_SERIES series;
 * further label values are counted under "other", so hostile label values cannot grow memory. */
#ifndef PN_BASE_METRICS_H
#define PN_BASE_METRICS_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/error.h"

#define PN_METRIC_SERIES 64

struct pn_metrics;
struct pn_metric;

PN_MUST_CHECK int pn_metrics_new(struct pn_metrics **ret);
struct pn_metrics *pn_metrics_free(struct pn_metrics *m);

/* `name`, `help` and `labels` (comma-separated label names, "" for none) are borrowed for the life of the
 * registry: pass literals. NULL without memory; the update functions accept NULL and do nothing. */
struct pn_metric *pn_metrics_counter(struct pn_metrics *m, const char *name, const char *help,
                                     const char *labels);
struct pn_metric *pn_metrics_gauge(struct pn_metrics *m, const char *name, const char *help,
                                   const char *labels);
/* `buckets`: n ascending upper bounds without +Inf, borrowed. */
struct pn_metric *pn_metrics_histogram(struct pn_metrics *m, const char *name, const char *help,
                                       const char *labels, const double *buckets, size_t n);

/* The variadic arguments are as many `const char *` label values as the metric has labels. */
void pn_metric_add(struct pn_metric *metric, double v, ...);     /* counter, gauge */
void pn_metric_set(struct pn_metric *metric, double v, ...);     /* gauge */
void pn_metric_observe(struct pn_metric *metric, double v, ...); /* histogram */
/* Sum over all series of a counter or gauge; of a histogram: the number of observations. */
double pn_metric_total(struct pn_metric *metric);
double pn_metric_sum(struct pn_metric *metric); /* of a histogram: the sum of what was observed */
/* Estimated quantile q in [0,1] over all series of a histogram; 0 while it is empty. */
double pn_metric_quantile(struct pn_metric *metric, double q);

void pn_metrics_render(struct pn_metrics *m, struct pn_buf *out);

#endif
