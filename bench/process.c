/* process.c - see process.h. */
#include "process.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void bench_die(const char *what, const struct pn_err *err)
{
    (void)fprintf(stderr, "%s: %s\n", what, err && err->code ? err->text : "failed");
    exit(1);
}

double bench_status_mb(const char *key)
{
    char line[256];
    double mb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f)) {
        int64_t kb = 0;
        struct pn_str rest = pn_str_trim(pn_str(line + strcspn(line, ":") + (strchr(line, ':') != NULL)));
        rest.len = rest.len > 3 ? rest.len - 3 : 0; /* " kB" */
        if (strncmp(line, key, strlen(key)) == 0 && pn_parse_i64(rest, 0, INT64_MAX, &kb) == 0)
            mb = (double)kb / 1024;
    }
    if (f)
        (void)fclose(f);
    return mb;
}

bool bench_in_child(void)
{
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        return true;
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
        bench_die("a measurement", NULL);
    return false;
}

void bench_finish_child(void)
{
    (void)fflush(stdout);
    _exit(0);
}
