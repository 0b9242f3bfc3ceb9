/* routes_status.c - GET /, /health, /ready, /stats, /metrics. Everything is at hand: nothing here waits. */
#include "server/route.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "server/server.h"
#include "server/state.h"

#include <stdio.h>
#include <string.h>

#define MAX_STATUS_BODY (4u << 20)

static void begin(struct pn_buf *b, struct pn_json *j)
{
    pn_buf_init(b, MAX_STATUS_BODY);
    pn_json_init(j, b);
    pn_json_begin_object(j);
}

static void end(struct pn_request *req, int status, struct pn_buf *b, struct pn_json *j)
{
    pn_json_end_object(j);
    req->reply = pn_reply_new(status, "application/json", b);
}

static const char *live_model_name(struct pn_server *s)
{
    return pn_models_live(s->models)->name;
}

void pn_handle_root(struct pn_request *req)
{
    struct pn_server *s = req->server;
    struct pn_str host = pn_request_header(req, "Host");
    struct pn_buf b;
    struct pn_json j;
    begin(&b, &j);
    pn_json_put_cstr(&j, "service", "语音实时转录接口");
    pn_json_put_cstr(&j, "version", PINNA_VERSION);
    pn_json_put_cstr(&j, "mode", "PTT (Push-to-Talk)");
    pn_json_put_cstr(&j, "model", live_model_name(s));
    pn_json_put_cstr(&j, "device", s->config->device);
    const char *scheme = s->tls ? "wss" : "ws";
    char endpoint[300];
    if (host.len > 0 && host.len < 256)
        snprintf(endpoint, sizeof(endpoint), "%s://%.*s/ws/asr", scheme, (int)host.len, host.ptr);
    else
        snprintf(endpoint, sizeof(endpoint), "%s://%s:%d/ws/asr", scheme, s->config->host,
                 pn_server_port(s, PN_LISTEN_MAIN));
    pn_json_put_cstr(&j, "endpoint", endpoint);
    pn_json_put_cstr(&j, "status", s->draining ? "stopping" : "running");
    end(req, 200, &b, &j);
}

void pn_handle_health(struct pn_request *req)
{
    struct pn_server *s = req->server;
    char now[32];
    pn_format_utc(pn_wall_ms(), now);
    now[19] = 0; /* the replaced service writes no fraction and no zone */
    struct pn_buf b;
    struct pn_json j;
    begin(&b, &j);
    pn_json_put_cstr(&j, "status", "healthy");
    pn_json_key(&j, "model_loaded");
    pn_json_bool(&j, true);
    pn_json_put_i64(&j, "active_connections", pn_ws_table_count(s->sockets));
    pn_json_put_i64(&j, "max_connections", s->config->max_connections);
    pn_json_put_fixed(&j, "cpu_usage_percent", s->usage.cpu_percent, 1);
    pn_json_put_fixed(&j, "memory_usage_percent", s->usage.memory_percent, 1);
    pn_json_put_cstr(&j, "timestamp", now);
    end(req, 200, &b, &j);
}

void pn_handle_ready(struct pn_request *req)
{
    struct pn_buf b;
    struct pn_json j;
    begin(&b, &j);
    pn_json_put_cstr(&j, "status", req->server->draining ? "draining" : "ready");
    end(req, req->server->draining ? 503 : 200, &b, &j);
    if (req->server->draining)
        pn_reply_header(req->reply, "Retry-After", "5");
}

static void put_latency(struct pn_json *j, const char *key, struct pn_metric *histogram)
{
    pn_json_key(j, key);
    pn_json_begin_object(j);
    pn_json_put_fixed(j, "p50", pn_metric_quantile(histogram, 0.5), 3);
    pn_json_put_fixed(j, "p95", pn_metric_quantile(histogram, 0.95), 3);
    pn_json_put_fixed(j, "p99", pn_metric_quantile(histogram, 0.99), 3);
    pn_json_end_object(j);
}

static void put_totals(struct pn_json *j, struct pn_server *s)
{
    struct pn_transcriber_stats t = pn_transcriber_stats(s->transcriber);
    pn_json_key(j, "totals");
    pn_json_begin_object(j);
    pn_json_put_i64(j, "requests", (int64_t)pn_metric_total(s->m.requests));
    pn_json_put_i64(j, "transcriptions", (int64_t)pn_metric_total(s->m.transcriptions));
    pn_json_put_i64(j, "failures", (int64_t)pn_metric_total(s->m.failures));
    pn_json_put_i64(j, "cancelled", (int64_t)t.cancelled);
    pn_json_put_i64(j, "refused", (int64_t)pn_metric_total(s->m.refused));
    pn_json_put_i64(j, "connections", (int64_t)pn_metric_total(s->m.live_connections));
    pn_json_put_i64(j, "utterances", (int64_t)pn_metric_total(s->m.live_utterances));
    pn_json_put_i64(j, "errors", (int64_t)pn_metric_total(s->m.live_errors));
    pn_json_put_i64(j, "ignored_audio", (int64_t)pn_metric_total(s->m.live_ignored));
    pn_json_put_fixed(j, "audio_seconds", pn_metric_sum(s->m.audio) + pn_metric_total(s->m.live_audio), 3);
    pn_json_end_object(j);
}

void pn_handle_stats(struct pn_request *req)
{
    struct pn_server *s = req->server;
    struct pn_transcriber_stats t = pn_transcriber_stats(s->transcriber);
    struct pn_scheduler_stats sched = pn_scheduler_stats(s->scheduler);
    struct pn_sandbox_report cage = pn_decoder_pool_sandbox(s->decoders);
    struct pn_buf b;
    struct pn_json j;
    begin(&b, &j);
    pn_json_put_i64(&j, "active_connections", pn_ws_table_count(s->sockets));
    pn_json_put_i64(&j, "max_connections", s->config->max_connections);
    pn_json_put_cstr(&j, "model", live_model_name(s));
    pn_json_put_cstr(&j, "device", s->config->device);
    pn_json_put_i64(&j, "sample_rate", PN_SAMPLE_RATE);
    pn_json_put_cstr(&j, "version", PINNA_VERSION);
    pn_json_put_i64(&j, "uptime_seconds", (pn_wall_ms() - s->started_ms) / 1000);
    pn_json_put_i64(&j, "http_connections", pn_conns_count(s->conns));
    pn_json_put_i64(&j, "running", t.running);
    pn_json_put_i64(&j, "waiting", t.waiting);
    pn_json_put_i64(&j, "streams", sched.streams);
    pn_json_put_i64(&j, "memory_rss_bytes", s->usage.rss_bytes);
    put_totals(&j, s);
    put_latency(&j, "latency_seconds", s->m.duration);
    pn_json_key(&j, "live_latency_seconds");
    pn_json_begin_object(&j);
    put_latency(&j, "first_partial", s->m.live_first);
    put_latency(&j, "final", s->m.live_final);
    pn_json_end_object(&j);
    pn_json_key(&j, "decoder_sandbox");
    pn_json_begin_object(&j);
    pn_json_key(&j, "seccomp");
    pn_json_bool(&j, cage.seccomp);
    pn_json_put_i64(&j, "landlock_abi", cage.landlock_abi);
    pn_json_end_object(&j);
    end(req, 200, &b, &j);
}

void pn_handle_metrics(struct pn_request *req)
{
    struct pn_buf b;
    pn_server_metrics_refresh(req->server);
    pn_buf_init(&b, MAX_STATUS_BODY);
    pn_metrics_render(req->server->metrics, &b);
    req->reply = pn_reply_new(200, "text/plain; version=0.0.4; charset=utf-8", &b);
}
