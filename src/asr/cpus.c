/* cpus.c - how many threads may compute at once here: the affinity mask, then the CPU quota of the control
 * group, v2 or v1, and of every group above it. Whatever cannot be read limits nothing. */
#include "asr/cpus.h"

#include "asr/models.h"
#include "base/file.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

double pn_cpu_quota_v2(struct pn_str text)
{
    text = pn_str_trim(text);
    const char *space = text.len ? memchr(text.ptr, ' ', text.len) : NULL;
    if (!space)
        return 0;
    struct pn_str quota = { text.ptr, (size_t)(space - text.ptr) };
    return pn_cpu_quota_v1(quota, (struct pn_str){ space + 1, text.len - quota.len - 1 });
}

double pn_cpu_quota_v1(struct pn_str quota, struct pn_str period)
{
    int64_t q, p;
    if (pn_parse_i64(pn_str_trim(quota), 1, INT64_MAX, &q) < 0 ||
        pn_parse_i64(pn_str_trim(period), 1, INT64_MAX, &p) < 0)
        return 0;
    return (double)q / (double)p;
}

/* Cores that this process may be scheduled on; machines of more than 1024 need a larger mask. */
static int cores_by_affinity(void)
{
    for (int n_cpus = 1024; n_cpus <= 1 << 16; n_cpus *= 4) {
        cpu_set_t *set = CPU_ALLOC(n_cpus);
        if (!set)
            return 1;
        size_t size = CPU_ALLOC_SIZE(n_cpus);
        int n = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (n > 0)
            return n;
    }
    return 1;
}

/* What a small file of the kernel holds; empty if it is not there. */
static struct pn_buf read_small(const char *path)
{
    struct pn_buf b;
    pn_buf_init(&b, (size_t)64 << 10);
    if (pn_file_read(path, &b, NULL) < 0)
        pn_buf_clear(&b);
    return b;
}

static double group_quota(const char *mount, const char *group, bool v2)
{
    char path[768];
    snprintf(path, sizeof(path), "%s%s/%s", mount, group, v2 ? "cpu.max" : "cpu.cfs_quota_us");
    struct pn_buf quota = read_small(path), period = { 0 };
    double q;
    if (v2) {
        q = pn_cpu_quota_v2((struct pn_str){ quota.ptr, quota.len });
    } else {
        snprintf(path, sizeof(path), "%s%s/cpu.cfs_period_us", mount, group);
        period = read_small(path);
        q = pn_cpu_quota_v1((struct pn_str){ quota.ptr, quota.len },
                            (struct pn_str){ period.ptr, period.len });
    }
    pn_buf_done(&quota);
    pn_buf_done(&period);
    return q;
}

/* The smallest quota of `group` ("/a/b", changed here) and those above it up to the mount; 0: none. In a
 * container the path may be the host's: then only the mount itself is there, and that is the right one. */
static double smallest_quota(const char *mount, char *group, bool v2)
{
    double smallest = 0;
    for (;;) {
        double q = group_quota(mount, group, v2);
        if (q > 0 && (smallest == 0 || q < smallest))
            smallest = q;
        char *slash = strrchr(group, '/');
        if (!slash)
            return smallest;
        *slash = '\0';
    }
}

/* Whether a comma-separated list names the controller "cpu". */
static bool names_cpu(const char *list)
{
    for (;;) {
        size_t len = strcspn(list, ",");
        if (len == 3 && memcmp(list, "cpu", 3) == 0)
            return true;
        if (list[len] == '\0')
            return false;
        list += len + 1;
    }
}

/* A line of /proc/self/cgroup: "0::/path" (v2) or "4:cpu,cpuacct:/path" (v1). */
static double quota_of_line(char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return 0;
    *group++ = '\0';
    controllers++;
    if (controllers[0] == '\0')
        return smallest_quota("/sys/fs/cgroup", group, true);
    return names_cpu(controllers) ? smallest_quota("/sys/fs/cgroup/cpu", group, false) : 0;
}

static double cores_by_quota(void)
{
    double cores = 0;
    struct pn_buf groups = read_small("/proc/self/cgroup");
    for (char *line = groups.ptr, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        double q = quota_of_line(line);
        if (q > 0 && (cores == 0 || q < cores))
            cores = q;
    }
    pn_buf_done(&groups);
    return cores;
}

int pn_compute_threads(void)
{
    int n = cores_by_affinity();
    double quota = cores_by_quota();
    if (quota > 0 && quota < n)
        n = (int)ceil(quota); /* half a core still runs one thread */
    return PN_MAX(n, 1);
}
