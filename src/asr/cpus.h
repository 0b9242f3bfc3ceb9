/* cpus.h - CPU quotas of control groups, parsed. */
#ifndef PN_ASR_CPUS_H
#define PN_ASR_CPUS_H

#include "base/str.h"

/* Cores that `cpu.max` ("150000 100000", "max 100000") of cgroup v2 grants; 0 for no limit or no sense. */
double pn_cpu_quota_v2(struct pn_str text);
/* As above, of v1's cpu.cfs_quota_us (-1: no limit) and cpu.cfs_period_us. */
double pn_cpu_quota_v1(struct pn_str quota, struct pn_str period);

#endif
