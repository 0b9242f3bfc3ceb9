/* process.c - see process.h. */
#include "base/process.h"

#include "base/clock.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int64_t read_rss(void)
{
    long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%*s %lld", &pages) != 1)
            pages = 0;
        fclose(f);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static int64_t read_cpu_us(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) < 0)
        return 0;
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

/* A value of /proc/meminfo in kB; 0 if it is not there. */
static double meminfo(const char *text, const char *name)
{
    long long kb = 0;
    const char *line = strstr(text, name);
    if (!line || sscanf(line + strlen(name), " %lld", &kb) != 1)
        return 0;
    return (double)kb;
}

static double read_memory_percent(void)
{
    char text[4096];
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = 0;
    double total = meminfo(text, "MemTotal:");
    return total > 0 ? 100.0 * (total - meminfo(text, "MemAvailable:")) / total : 0;
}

/* Busy and total jiffies of the machine. */
static void read_machine_cpu(double *busy, double *total)
{
    long long v[8] = { 0 };
    FILE *f = fopen("/proc/stat", "re");
    if (!f)
        return;
    if (fscanf(f, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
               &v[6], &v[7]) == 8) {
        *total = 0;
        for (int i = 0; i < 8; i++)
            *total += (double)v[i];
        *busy = *total - (double)v[3] - (double)v[4];
    }
    fclose(f);
}

static int count_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 3; /* ".", ".." and the folder itself */
}

void pn_process_sample(struct pn_process_sample *s)
{
    double busy = 0, total = 0;
    read_machine_cpu(&busy, &total);
    if (s->machine_total > 0 && total > s->machine_total)
        s->cpu_percent = 100.0 * (busy - s->machine_busy) / (total - s->machine_total);
    s->machine_busy = busy;
    s->machine_total = total;
    s->at_us = pn_now_us();
    s->rss_bytes = read_rss();
    s->cpu_us = read_cpu_us();
    s->memory_percent = read_memory_percent();
    s->open_fds = count_fds();
}
