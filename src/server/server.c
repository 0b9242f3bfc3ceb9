/* server.c - puts the parts together, admits or refuses work, starts and stops.
 *
 * Order of life: models, decoders, scheduler, transcriber, then the sockets; the end is the reverse, after
 * the work that was taken is finished. Signals are read from a descriptor by the loop; no handler runs. */
#include "server/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/signals.h"
#include "server/realtime_secrets.h"
#include "server/routes_models.h"
#include "server/state.h"
#include "server/tally.h"
#include "server/tls_context.h"

#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define MAX_DESCRIPTORS 65536
#define SAMPLE_US       1000000
#define ROW_BUDGET      4096
#define SPARE_SESSIONS  4 /* of people who have left and whose streams are being closed */
/* A decode child and the buffers of its job, as measured on long compressed files. */
#define JOB_MEMORY_BYTES (48LL << 20)

static void raise_descriptor_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return;
    rlim_t want = l.rlim_max == RLIM_INFINITY ? MAX_DESCRIPTORS : PN_MIN(l.rlim_max, (rlim_t)MAX_DESCRIPTORS);
    if (l.rlim_cur >= want)
        return;
    l.rlim_cur = want;
    if (setrlimit(RLIMIT_NOFILE, &l) < 0)
        pn_log(PN_WARN, "descriptor limit stays", F_I64("limit", l.rlim_cur));
}

/* ---- admission --------------------------------------------------------------------------------------- */

static bool memory_is_full(struct pn_server *s)
{
    int64_t ceiling = s->config->max_memory_mb << 20;
    if (ceiling == 0)
        return false;
    struct pn_transcriber_stats t = pn_transcriber_stats(s->transcriber);
    return s->usage.rss_bytes + (t.running + 1) * JOB_MEMORY_BYTES > ceiling;
}

int pn_server_admit(struct pn_server *s, const char **ret_reason)
{
    if (s->draining)
        *ret_reason = "draining";
    else if (pn_transcriber_full(s->transcriber))
        *ret_reason = "queue";
    else if (memory_is_full(s))
        *ret_reason = "memory";
    else
        return 0;
    return -PN_EFULL;
}

struct pn_reply *pn_server_refuse(struct pn_server *s, const char *reason)
{
    pn_metric_add(s->m.refused, 1, reason);
    struct pn_reply *r =
        pn_reply_error(503, NULL, "overloaded", "no room for new work now (%s); try again", reason);
    pn_reply_header(r, "Retry-After", "%d", s->draining ? 10 : 1);
    return r;
}

/* ---- connections and signals ------------------------------------------------------------------------- */

static void on_accepted(void *ctx, int fd, const struct pn_peer *peer)
{
    struct pn_server *s = ctx;
    if (s->conns) {
        pn_conns_adopt(s->conns, fd, peer);
    } else { /* TLS handed it over while we were stopping */
        pn_tally_unref(peer->received);
        close(fd);
    }
}

static void on_readable(void *ctx, struct pn_conn *c)
{
    pn_http_read(((struct pn_server *)ctx)->http, c);
}

static void on_refused(void *ctx, const char *why)
{
    pn_metric_add(((struct pn_server *)ctx)->m.refused, 1, why);
}

static void begin_drain(struct pn_server *s, int signal_number)
{
    if (s->draining) {
        pn_log(PN_WARN, "stopping at once", F_I64("signal", signal_number));
        s->exit_code = 1;
        pn_loop_stop(s->loop);
        return;
    }
    struct pn_transcriber_stats t = pn_transcriber_stats(s->transcriber);
    pn_log(PN_INFO, "draining", F_I64("signal", signal_number), F_I64("running", t.running),
           F_I64("waiting", t.waiting));
    s->draining = true;
    pn_ws_table_drain(s->sockets);
    pn_conns_hurry(s->conns);
}

static void reload_certificate(struct pn_server *s)
{
    struct pn_err err = { 0 };
    if (s->tls && pn_tls_reload(s->tls, &err) < 0)
        pn_log(PN_ERROR, "the certificate stays as it was", F_ERR(&err));
}

static void on_signal(struct pn_source *source, uint32_t events)
{
    struct pn_server *s = PN_CONTAINER_OF(source, struct pn_server, signals);
    struct signalfd_siginfo info;
    (void)events;
    if (read(source->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGHUP) {
        pn_log_reopen();
        pn_log(PN_INFO, "log reopened", F_I64("signal", SIGHUP));
        reload_certificate(s);
    } else {
        begin_drain(s, (int)info.ssi_signo);
    }
}

static void on_tick(void *ctx, int64_t now_us)
{
    struct pn_server *s = ctx;
    pn_acceptor_tick(s->acceptor);
    pn_conns_tick(s->conns, now_us);
    pn_ws_table_tick(s->sockets, now_us);
    if (now_us - s->usage.at_us >= SAMPLE_US)
        pn_process_sample(&s->usage);
    if (s->draining && s->n_requests == 0 && pn_ws_table_is_empty(s->sockets))
        pn_loop_stop(s->loop);
}

static int start_signals(struct pn_server *s, struct pn_err *err)
{
    int fd = pn_signals_open(SFD_CLOEXEC | SFD_NONBLOCK, err);
    if (fd < 0)
        return fd;
    s->signals = (struct pn_source){ .fd = fd, .ready = on_signal };
    return pn_loop_add(s->loop, &s->signals, EPOLLIN, err);
}

/* ---- the engine -------------------------------------------------------------------------------------- */

static int start_decoders(struct pn_server *s, struct pn_err *err)
{
    int r = pn_decoder_pool_start(s->config, &s->decoders, err);
    if (r < 0)
        return r;
    struct pn_sandbox_report cage = pn_decoder_pool_sandbox(s->decoders);
    pn_log(cage.seccomp && cage.landlock_abi ? PN_INFO : PN_WARN, "decoder sandbox",
           F_BOOL("seccomp", cage.seccomp), F_I64("landlock_abi", cage.landlock_abi));
    return 0;
}

static void warn_of_model(void *ctx, const char *line)
{
    (void)ctx;
    pn_log(PN_WARN, "model fallback", F_CSTR("text", line));
}

static int start_engine(struct pn_server *s, struct pn_err *err)
{
    const struct pn_config *c = s->config;
    struct pn_models_options models = { .model = c->whisper_model,
                                        .live_model = c->model_name,
                                        .allow_fallback = true,
                                        .threads = (int)c->threads,
                                        .model_dir = c->model_dir,
                                        .cache_dir = c->cache_dir,
                                        .max_loaded = (int)c->max_models,
                                        .vad = c->vad,
                                        .punctuation = c->punctuation,
                                        .final_model = c->final_model,
                                        .live_pad_ms = (int)(c->overlap_samples + 15) / 16,
                                        .warn = warn_of_model };
    int max_sessions = (int)(c->max_connections + c->max_connections / 4) + SPARE_SESSIONS;
    struct pn_scheduler_options sched = { .max_streams = (int)c->max_concurrent + max_sessions,
                                          .batch_size = (int)c->batch_size,
                                          .row_budget = ROW_BUDGET };
    int r = pn_precision_parse(pn_str(c->precision), &models.precision);
    if (r == 0)
        r = pn_models_open(&models, &s->models, err);
    if (r < 0 || (r = start_decoders(s, err)) < 0 || (r = pn_scheduler_new(&sched, &s->scheduler, err)) < 0)
        return r;
    struct pn_transcriber_options jobs = { .scheduler = s->scheduler,
                                           .decoders = s->decoders,
                                           .worker_threads = (int)c->worker_threads,
                                           .max_concurrent = (int)c->max_concurrent,
                                           .queue_size = (int)c->queue_size,
                                           .trim_memory = c->aggressive_gc };
    struct pn_live_options live = { .scheduler = s->scheduler,
                                    .models = s->models,
                                    .worker_threads = (int)c->worker_threads,
                                    .max_sessions = max_sessions,
                                    .feed_samples = (int)c->chunk_samples,
                                    .chunk_latency = s->m.chunk_latency };
    r = pn_transcriber_new(&jobs, &s->transcriber, err);
    return r < 0 ? r : pn_live_engine_new(&live, &s->live, err);
}

static int open_listener(struct pn_server *s, enum pn_listener_kind kind, int64_t port, struct pn_err *err)
{
    struct pn_listener *l = &s->listeners[s->n_listeners];
    *l = (struct pn_listener){ .host = s->config->host, .port = (int)port, .kind = kind };
    int r = pn_listen(l, err);
    s->n_listeners += r == 0;
    return r;
}

static int start_tls(struct pn_server *s, struct pn_err *err)
{
    const struct pn_config *c = s->config;
    struct pn_tls_options opt = { .listeners = s->listeners,
                                  .n_listeners = s->n_listeners,
                                  .cert = c->tls_cert,
                                  .key = c->tls_key,
                                  .max_connections = (int)c->max_http_connections + PN_CONNS_SPARE,
                                  .handshake_timeout_ms = (int)c->header_timeout_s * 1000,
                                  .stall_timeout_ms = (int)c->network_timeout_s * 1000,
                                  .loop = s->loop,
                                  .accepted = on_accepted,
                                  .ctx = s,
                                  .handshakes = s->m.handshakes,
                                  .refused = s->m.refused };
    return pn_tls_new(&opt, &s->tls, err);
}

static int start_listening(struct pn_server *s, struct pn_err *err)
{
    int r = open_listener(s, PN_LISTEN_MAIN, s->config->port, err);
    if (r == 0 && s->config->funasr_port)
        r = open_listener(s, PN_LISTEN_FUNASR, s->config->funasr_port, err);
    if (r < 0)
        return r;
    if (s->config->tls_cert[0])
        return start_tls(s, err);
    return pn_acceptor_new(s->loop, s->listeners, s->n_listeners, on_accepted, s, &s->acceptor, err);
}

static int start_sockets(struct pn_server *s, struct pn_err *err)
{
    const struct pn_config *c = s->config;
    struct pn_conns_options opt = { .max_connections = (int)c->max_http_connections,
                                    .header_timeout_ms = (int)c->header_timeout_s * 1000,
                                    .keepalive_ms = (int)c->keepalive_s * 1000,
                                    .body_timeout_ms = (int)c->body_timeout_s * 1000,
                                    .body_min_rate = c->body_min_rate,
                                    .readable = on_readable,
                                    .refused = on_refused,
                                    .ctx = s };
    struct pn_ws_options ws = { .max_sessions = (int)c->max_connections,
                                .idle_timeout_s = (int)c->ws_timeout_s,
                                .stall_timeout_s = (int)c->network_timeout_s };
    int r = pn_ws_table_new(s, &ws, &s->sockets, err);
    if (r < 0 || (r = pn_http_new(s, &s->http, err)) < 0 ||
        (r = pn_conns_new(s->loop, &opt, &s->conns, err)) < 0)
        return r;
    return start_listening(s, err);
}

int pn_server_check(const struct pn_config *config, struct pn_err *err)
{
    SSL_CTX *context = NULL;
    int r = config->tls_cert[0] ? pn_tls_context_new(config->tls_cert, config->tls_key, &context, err) : 0;
    SSL_CTX_free(context);
    return r;
}

int pn_server_new(const struct pn_config *config, struct pn_server **ret, struct pn_err *err)
{
    struct pn_server *s = calloc(1, sizeof(*s));
    if (!s)
        return pn_fail(err, PN_ENOMEM, "no memory for the server");
    s->config = config;
    s->started_ms = pn_wall_ms();
    s->signals.fd = -1;
    raise_descriptor_limit();
    int r = pn_loop_new(&s->loop, err);
    if (r == 0 && (r = start_signals(s, err)) == 0 && (r = pn_server_metrics_init(s, err)) == 0 &&
        (r = start_engine(s, err)) == 0)
        r = start_sockets(s, err);
    if (r < 0) {
        pn_server_free(s);
        return r;
    }
    pn_process_sample(&s->usage);
    pn_loop_on_tick(s->loop, on_tick, s);
    *ret = s;
    return 0;
}

struct pn_server *pn_server_free(struct pn_server *s)
{
    if (!s)
        return NULL;
    pn_acceptor_free(s->acceptor);
    pn_ws_table_free(s->sockets);
    pn_rt_secrets_free(s->realtime_secrets);
    pn_http_free(s->http); /* ends the requests, which cancel their jobs */
    pn_model_listing_stop(s->model_listing);
    pn_live_engine_free(s->live);
    pn_transcriber_free(s->transcriber);
    s->conns = pn_conns_free(s->conns);
    pn_tls_free(s->tls);
    for (size_t i = 0; i < s->n_listeners; i++)
        close(s->listeners[i].fd);
    if (s->signals.fd >= 0)
        close(s->signals.fd);
    pn_loop_free(s->loop);
    pn_model_listing_free(s->model_listing);
    pn_scheduler_free(s->scheduler);
    pn_decoder_pool_free(s->decoders);
    pn_models_free(s->models);
    pn_metrics_free(s->metrics);
    free(s);
    return NULL;
}

int pn_server_port(const struct pn_server *s, enum pn_listener_kind kind)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        if (s->listeners[i].kind == kind)
            return s->listeners[i].port;
    return 0;
}

int pn_server_run(struct pn_server *s)
{
    pn_loop_run(s->loop);
    return s->exit_code;
}
