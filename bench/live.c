/* live.c - how many speakers a server follows: people who talk and pause in real time over its protocols, and
 * how long their text takes.
 *
 *     bench_live --url ws://HOST:PORT [--protocol ptt,ptt-binary,funasr,realtime,realtime-vad] [--pid PID]
 * [--ca FILE]
 *             [--speakers N | --ramp [--most 200] [--over 1.5]] [--seconds 18] [--frame 60] [--talk 8000]
 *             [--pause 1000] [--json]
 *
 * Every speaker has a connection of its own, sends a frame of audio each --frame ms, says something for
 * --talk ms, hears the final result, is silent for --pause ms, and goes on; they begin at random moments. A
 * chunk's latency counts from when the frame that completes it is sent to when its text is there: the frame
 * is the one that the server's time stamp names, or, where a protocol has none, the last one that completed a
 * chunk not yet answered. Where chunks are complete is found out first, by one speaker over push-to-talk.
 *
 * --ramp finds the most speakers with a 99th percentile under 600 ms, without growing lag, and with nobody
 * refused or lost; --over 1.5 then offers half as many again. */
#include "engine.h"
#include "live_run.h"
#include "machine.h"
#include "process.h"

#include "base/json.h"

#include <math.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SOURCE_S = 20, CALIBRATION_S = 6, PER_MS = 16 /* samples */, MAX_SPEAKERS = 10000 };

struct arguments {
    const char *url, *ca, *protocols;
    pid_t pid;
    int speakers, most, seconds, frame_ms, talk_ms, pause_ms;
    double over;
    bool ramp, json;
};

/* ---- audio ---- */

/* Noise in syllables, cut into frames, and a frame of silence behind them. */
static struct live_frame *make_frames(int frame_ms, int *ret_n)
{
    size_t samples = (size_t)frame_ms * PER_MS, n = (size_t)SOURCE_S * 1000 / (size_t)frame_ms;
    float *pcm = malloc(n * samples * sizeof(*pcm));
    int16_t *s16 = calloc((n + 1) * samples, sizeof(*s16));
    char *base64 = malloc((n + 1) * (4 * samples + 8));
    struct live_frame *frames = calloc(n + 1, sizeof(*frames));
    if (!pcm || !s16 || !base64 || !frames)
        bench_die("memory", NULL);
    bench_speech(3, pcm, n * samples);
    for (size_t i = 0; i < n * samples; i++)
        s16[i] = (int16_t)lrintf(PN_MAX(PN_MIN(pcm[i], 1.0F), -1.0F) * 32767);
    free(pcm);
    for (size_t i = 0; i <= n; i++) {
        char *to = base64 + i * (4 * samples + 8);
        int len =
            EVP_EncodeBlock((unsigned char *)to, (unsigned char *)(s16 + i * samples), (int)(2 * samples));
        frames[i] = (struct live_frame){ .pcm = { (char *)(s16 + i * samples), 2 * samples },
                                         .base64 = { to, (size_t)len } };
    }
    *ret_n = (int)n;
    return frames;
}

static void free_frames(struct live_frame *frames)
{
    free((char *)frames[0].pcm.ptr);
    free((char *)frames[0].base64.ptr);
    free(frames);
}

/* ---- the table ---- */

static void print_head(void)
{
    (void)printf("%-11s %8s | %21s | %21s | %21s | %5s %5s %5s %5s %6s | %6s %6s %6s\n", "protocol",
                 "speakers", "first text p50 95 99", "chunk p50 95 99", "final p50 95 99", "late", "lost",
                 "refus", "fail", "slope", "server", "bench", "MB");
}

static void print_three(struct live_percentiles p)
{
    if (p.n > 0)
        (void)printf(" | %6.0f %6.0f %7.0f", p.p50, p.p95, p.p99);
    else
        (void)printf(" | %6s %6s %7s", "-", "-", "-");
}

static void write_three(struct pn_json *j, const char *key, struct live_percentiles p)
{
    const struct {
        const char *key;
        double ms;
    } each[] = { { "p50", p.p50 }, { "p95", p.p95 }, { "p99", p.p99 }, { "worst", p.worst } };
    pn_json_key(j, key);
    pn_json_begin_object(j);
    pn_json_key(j, "n");
    pn_json_i64(j, p.n);
    for (size_t i = 0; i < PN_ARRAY_LEN(each); i++) {
        pn_json_key(j, each[i].key);
        pn_json_fixed(j, each[i].ms, 1);
    }
    pn_json_end_object(j);
}

static void print_json(const char *protocol, const struct live_result *r)
{
    const struct {
        const char *key;
        int v;
    } counts[] = { { "speakers", r->speakers }, { "utterances", r->utterances },
                   { "partials", r->partials }, { "late", r->late },
                   { "lost", r->lost },         { "refused", r->refused },
                   { "failed", r->failed },     { "phase_ms", r->phase_ms } };
    const struct {
        const char *key;
        double v;
    } numbers[] = { { "slope_ms", r->slope_ms },
                    { "heard_s", r->heard_s },
                    { "server_cores", r->server_cores },
                    { "own_cores", r->own_cores },
                    { "server_mb", r->server_mb } };
    struct pn_buf b;
    struct pn_json j;
    pn_buf_init(&b, 65536);
    pn_json_init(&j, &b);
    pn_json_begin_object(&j);
    pn_json_key(&j, "protocol");
    pn_json_cstr(&j, protocol);
    for (size_t i = 0; i < PN_ARRAY_LEN(counts); i++) {
        pn_json_key(&j, counts[i].key);
        pn_json_i64(&j, counts[i].v);
    }
    for (size_t i = 0; i < PN_ARRAY_LEN(numbers); i++) {
        pn_json_key(&j, numbers[i].key);
        pn_json_fixed(&j, numbers[i].v, 3);
    }
    write_three(&j, "first", r->first);
    write_three(&j, "chunk", r->chunk);
    write_three(&j, "final", r->final);
    pn_json_key(&j, "holds");
    pn_json_bool(&j, r->holds);
    pn_json_end_object(&j);
    (void)printf("%s\n", b.ptr ? b.ptr : "");
    pn_buf_done(&b);
}

static void print(const struct arguments *a, const char *protocol, const struct live_result *r)
{
    if (a->json) {
        print_json(protocol, r);
    } else {
        (void)printf("%-11s %8d", protocol, r->speakers);
        print_three(r->first);
        print_three(r->chunk);
        print_three(r->final);
        (void)printf(" | %5d %5d %5d %5d %6.0f | %6.2f %6.2f %6.0f  %s\n", r->late, r->lost, r->refused,
                     r->failed, r->slope_ms, r->server_cores, r->own_cores, r->server_mb,
                     r->holds ? "holds" : "too many");
    }
    (void)fflush(stdout);
}

/* ---- measuring ---- */

static bool holds(const struct arguments *a, const struct live_options *opt, int n)
{
    struct live_result r = live_run(opt, n, a->seconds, a->pid);
    print(a, opt->protocol->name, &r);
    return r.holds;
}

/* Doubles until it breaks, then halves the gap. */
static int most(const struct arguments *a, const struct live_options *opt)
{
    int good = 0, bad = a->most + 1;
    for (int n = PN_MIN(8, a->most); n < bad; n = PN_MIN(2 * n, a->most)) {
        if (!holds(a, opt, n))
            bad = n;
        else
            good = n;
        if (good == a->most)
            return good;
    }
    while (bad - good > PN_MAX(1, good / 32)) {
        int n = (good + bad) / 2;
        if (holds(a, opt, n))
            good = n;
        else
            bad = n;
    }
    return good;
}

static void measure(const struct arguments *a, const struct live_options *opt)
{
    if (!a->ramp) {
        (void)holds(a, opt, a->speakers);
        return;
    }
    int n = most(a, opt);
    if (!a->json)
        (void)printf("%s: %d speakers\n", opt->protocol->name, n);
    if (a->over > 1 && n > 0)
        (void)holds(a, opt, (int)(n * a->over + 0.5));
}

/* Where chunks are complete, and how much of them made text. */
static int calibrate(const struct arguments *a, struct live_options opt)
{
    opt.protocol = live_protocol_of("ptt");
    int seconds = PN_MIN(a->seconds, CALIBRATION_S);
    opt.talk_ms = 1000 * seconds;
    struct live_result r = live_run(&opt, 1, seconds, 0);
    if (!a->json)
        (void)printf(
            "one speaker alone: %d results in %.1f s of audio, chunks complete at %d ms of each %d\n",
            r.partials, r.heard_s, r.phase_ms, LIVE_CHUNK_MS);
    return r.phase_ms;
}

static void measure_all(const struct arguments *a, struct live_options *opt)
{
    opt->phase_ms = calibrate(a, *opt);
    if (!a->json)
        print_head();
    for (struct pn_str rest = pn_str(a->protocols), name; rest.len > 0;) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        name = (struct pn_str){ rest.ptr, comma ? (size_t)(comma - rest.ptr) : rest.len };
        rest = comma ? (struct pn_str){ comma + 1, rest.len - name.len - 1 } : (struct pn_str){ 0 };
        char text[32];
        opt->protocol = pn_str_copy(text, sizeof(text), name) == 0 ? live_protocol_of(text) : NULL;
        if (!opt->protocol)
            bench_die("--protocol", NULL);
        measure(a, opt);
    }
}

/* ---- arguments ---- */

static const char USAGE[] =
    "usage: bench_live --url ws://HOST:PORT [--protocol ptt,ptt-binary,funasr,realtime,realtime-vad] [--pid "
    "PID] [--ca "
    "FILE]\n"
    "        [--speakers N | --ramp [--most 200] [--over 1.5]] [--seconds 18] [--frame 60] [--talk 8000]\n"
    "        [--pause 1000] [--json]\n";

static const char *value_of(int argc, char **argv, const char *flag, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            return argv[i + 1];
    return otherwise;
}

static bool given(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            return true;
    return false;
}

static int number_of(int argc, char **argv, const char *flag, const char *otherwise, int min, int max)
{
    int64_t v = 0;
    if (pn_parse_i64(pn_str(value_of(argc, argv, flag, otherwise)), min, max, &v) < 0)
        bench_die(flag, NULL);
    return (int)v;
}

static struct arguments read_arguments(int argc, char **argv)
{
    struct arguments a = { .url = value_of(argc, argv, "--url", NULL),
                           .ca = value_of(argc, argv, "--ca", ""),
                           .protocols = value_of(argc, argv, "--protocol", "ptt"),
                           .pid = number_of(argc, argv, "--pid", "0", 0, INT32_MAX),
                           .speakers = number_of(argc, argv, "--speakers", "8", 1, MAX_SPEAKERS),
                           .most = number_of(argc, argv, "--most", "200", 1, MAX_SPEAKERS),
                           .seconds = number_of(argc, argv, "--seconds", "18", 1, 86400),
                           .frame_ms = number_of(argc, argv, "--frame", "60", 10, 600),
                           .talk_ms = number_of(argc, argv, "--talk", "8000", 100, 3600000),
                           .pause_ms = number_of(argc, argv, "--pause", "1000", 0, 3600000),
                           .ramp = given(argc, argv, "--ramp"),
                           .json = given(argc, argv, "--json") };
    if (pn_parse_f64(pn_str(value_of(argc, argv, "--over", "1")), 1, 10, &a.over) < 0)
        bench_die("--over", NULL);
    return a;
}

static void print_machine(void)
{
    struct bench_machine m = bench_machine_measure();
    (void)printf("%ld cores, of each at most %.0f int8 Gop/s, %.0f f32 Gflop/s, %.1f GB/s\n",
                 sysconf(_SC_NPROCESSORS_ONLN), m.int8_gops, m.f32_gflops, m.read_gbps);
}

int main(int argc, char **argv)
{
    struct arguments a = read_arguments(argc, argv);
    struct rlimit files = { 0 };
    if (!a.url) {
        (void)fputs(USAGE, stderr);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    struct live_options opt = {
        .url = a.url, .ca_file = a.ca, .frame_ms = a.frame_ms, .talk_ms = a.talk_ms, .pause_ms = a.pause_ms
    };
    struct live_frame *frames = make_frames(a.frame_ms, &opt.n_frames);
    opt.frames = frames;
    opt.silence = &frames[opt.n_frames];
    if (!a.json)
        print_machine();
    measure_all(&a, &opt);
    free_frames(frames);
    return 0;
}
