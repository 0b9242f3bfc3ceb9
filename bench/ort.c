/* ort.c - a line to the child is a case, a line of JSON from it is what it took. */
#include "ort.h"

#include "process.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct bench_ort {
    pid_t pid;
    FILE *to, *from;
    int threads;
    char version[32];
    double load_ms, resident_mb;
};

__attribute__((noreturn)) static void become_node(const char *folder, int threads, const int to[2],
                                                  const int from[2])
{
    char modules[600], graph[600], count[16];
    (void)snprintf(modules, sizeof(modules), "%s/ort/node_modules", folder);
    (void)snprintf(graph, sizeof(graph), "%s/ort/paraformer.onnx", folder);
    (void)snprintf(count, sizeof(count), "%d", threads);
    setenv("NODE_PATH", modules, 1);
    dup2(to[0], STDIN_FILENO);
    dup2(from[1], STDOUT_FILENO);
    close(to[0]);
    close(to[1]);
    close(from[0]);
    close(from[1]);
    execlp("node", "node", PN_SOURCE_ROOT "/bench/paraformer_ort.js", graph, count, (char *)NULL);
    _exit(127);
}

static json_t *read_answer(struct bench_ort *o)
{
    char *line = NULL;
    size_t cap = 0;
    json_t *answer = getline(&line, &cap, o->from) > 0 ? json_loads(line, 0, NULL) : NULL;
    free(line);
    if (answer)
        o->resident_mb = json_number_value(json_object_get(answer, "rss_mb"));
    return answer;
}

struct bench_ort *bench_ort_open(const char *folder, int threads)
{
    int to[2], from[2];
    struct bench_ort *o = calloc(1, sizeof(*o));
    if (!o || pipe(to) < 0 || pipe(from) < 0)
        bench_die("a pipe", NULL);
    o->threads = threads;
    o->pid = fork();
    if (o->pid == 0)
        become_node(folder, threads, to, from);
    close(to[0]);
    close(from[1]);
    o->to = fdopen(to[1], "w");
    o->from = fdopen(from[0], "r");
    if (o->pid < 0 || !o->to || !o->from)
        bench_die("a child", NULL);
    json_t *hello = read_answer(o);
    if (!hello) {
        (void)fprintf(stderr, "ONNX Runtime: not measured, it does not run (see paraformer_prepare.sh)\n");
        return bench_ort_close(o);
    }
    const char *version = json_string_value(json_object_get(hello, "version"));
    (void)snprintf(o->version, sizeof(o->version), "%s", version ? version : "?");
    o->load_ms = json_number_value(json_object_get(hello, "load_ms"));
    json_decref(hello);
    return o;
}

struct bench_ort *bench_ort_close(struct bench_ort *o)
{
    if (!o)
        return NULL;
    (void)fclose(o->to);
    (void)fclose(o->from);
    (void)waitpid(o->pid, NULL, 0);
    free(o);
    return NULL;
}

const char *bench_ort_version(const struct bench_ort *o)
{
    return o->version;
}

double bench_ort_load_ms(const struct bench_ort *o)
{
    return o->load_ms;
}

double bench_ort_resident_mb(const struct bench_ort *o)
{
    return o->resident_mb;
}

void bench_ort_run(struct bench_ort *o, struct bench_ort_case c, int n, double *ret_ms)
{
    (void)fprintf(o->to, "%d %d %d %d\n", c.batch, c.rows, c.tokens, n);
    (void)fflush(o->to);
    json_t *answer = read_answer(o);
    const json_t *ms = json_object_get(answer, o->threads == 1 ? "cpu_ms" : "wall_ms");
    if (json_array_size(ms) != (size_t)n)
        bench_die("ONNX Runtime", NULL);
    for (int i = 0; i < n; i++)
        ret_ms[i] = json_number_value(json_array_get(ms, (size_t)i));
    json_decref(answer);
}
