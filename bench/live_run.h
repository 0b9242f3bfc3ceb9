/* live_run.h - so many speakers at once for so long, and what came of it. */
#ifndef PN_BENCH_LIVE_RUN_H
#define PN_BENCH_LIVE_RUN_H

#include "live_speaker.h"

#include <sys/types.h>

struct live_percentiles {
    double p50, p95, p99, worst; /* ms; 0 if there were none */
    int n;
};

struct live_result {
    int speakers;
    struct live_percentiles first, chunk, final;
    double slope_ms; /* of chunk latency (final, if no chunk has one): median of the last third less the
                        first's */
    int utterances, partials, refused, failed;
    int lost; /* utterances without a final result when everybody had time for it */
    int late; /* chunks over 600 ms */
    double heard_s;
    double server_cores, own_cores, server_mb;
    int phase_ms; /* where chunks are complete, by the server's time stamps; -1: not known */
    bool holds; /* p99 of a chunk under 600 ms, of a final text under 1200; no growing lag; nobody refused or
                   lost */
};

/* Connects `n` speakers, lets them begin within `spread_ms`, and counts for `seconds` from then on. `pid`:
 * the server's; 0: not known. Ends the program if a connection cannot be made. */
struct live_result live_run(const struct live_options *opt, int n, int seconds, pid_t pid);

#endif
