/* server_metrics.c - the server's metrics: names that dashboards of the replaced service read, and our own.
 */
#include "server/state.h"

#include "base/log.h"

static const double SECONDS[] = { 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600 };
static const double AUDIO_SECONDS[] = { 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400 };

static const double LATENCY_SECONDS[] = { 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6,
                                          0.8,  1,     1.5,  2,   3,   5,   10,  30 };

static void make_scheduler(struct pn_server_metrics *m, struct pn_metrics *reg)
{
    m->steps = pn_metrics_counter(reg, "pinna_steps_total", "Steps of all models.", "");
    m->level = pn_metrics_gauge(reg, "pinna_live_load_level",
                                "0: keeps up; 1: drafts are rarer; 2: no new live stream is let in.", "");
}

static void make_live(struct pn_server_metrics *m, struct pn_metrics *reg)
{
    m->live_connections = pn_metrics_counter(reg, "pinna_live_connections_total",
                                             "WebSockets that were opened to speak.", "protocol");
    m->live_utterances =
        pn_metrics_counter(reg, "pinna_live_utterances_total", "Utterances that have ended.", "protocol");
    m->live_audio =
        pn_metrics_counter(reg, "pinna_live_audio_seconds_total", "Audio of those utterances.", "protocol");
    m->live_ignored = pn_metrics_counter(reg, "pinna_live_ignored_messages_total",
                                         "Messages of audio outside an utterance.", "protocol");
    m->live_errors =
        pn_metrics_counter(reg, "pinna_live_errors_total", "Errors told to speakers.", "protocol,code");
    m->live_first = pn_metrics_histogram(reg, "pinna_live_first_partial_seconds",
                                         "Time from the first audio of an utterance to its first text.",
                                         "protocol", LATENCY_SECONDS, PN_ARRAY_LEN(LATENCY_SECONDS));
    m->live_final = pn_metrics_histogram(reg, "pinna_live_final_seconds",
                                         "Time from the end of an utterance's audio to its final text.",
                                         "protocol", LATENCY_SECONDS, PN_ARRAY_LEN(LATENCY_SECONDS));
}

static void make_sessions(struct pn_server_metrics *m, struct pn_metrics *reg)
{
    m->sessions = pn_metrics_gauge(reg, "pinna_live_sessions", "Streams of people who talk.", "");
    m->session_events = pn_metrics_counter(
        reg, "pinna_live_sessions_total",
        "Sessions opened, refused, ended, failed, dropped by their clients, and shed under load.", "event");
    m->session_audio =
        pn_metrics_counter(reg, "pinna_live_heard_seconds_total", "Audio that came in sessions.", "");
    m->bad_packets =
        pn_metrics_counter(reg, "pinna_live_bad_packets_total", "Opus packets that were damaged.", "");
    m->lag = pn_metrics_gauge(reg, "pinna_live_lag_seconds",
                              "How long the live stream that waits longest has waited.", "");
    m->busy = pn_metrics_gauge(reg, "pinna_live_busy_ratio",
                               "Share of the time that steps of live streams take.", "");
    m->chunk_latency =
        pn_metrics_histogram(reg, "pinna_live_chunk_seconds",
                             "Time from when the audio of a partial result was there until the result was.",
                             "", LATENCY_SECONDS, PN_ARRAY_LEN(LATENCY_SECONDS));
}

int pn_server_metrics_init(struct pn_server *s, struct pn_err *err)
{
    struct pn_server_metrics *m = &s->m;
    int r = pn_metrics_new(&s->metrics);
    if (r < 0)
        return pn_fail(err, PN_ENOMEM, "no memory for metrics");
    struct pn_metrics *reg = s->metrics;
    m->transcriptions =
        pn_metrics_counter(reg, "whisper_transcription_total", "Transcriptions finished.", "language,model");
    m->duration = pn_metrics_histogram(reg, "whisper_transcription_duration_seconds",
                                       "Time from start to end of a transcription.", "model", SECONDS,
                                       PN_ARRAY_LEN(SECONDS));
    m->audio = pn_metrics_histogram(reg, "whisper_audio_duration_seconds", "Length of the audio transcribed.",
                                    "model", AUDIO_SECONDS, PN_ARRAY_LEN(AUDIO_SECONDS));
    m->requests =
        pn_metrics_counter(reg, "pinna_http_requests_total", "HTTP requests answered.", "route,status");
    m->refused =
        pn_metrics_counter(reg, "pinna_refused_total", "Connections and requests refused.", "reason");
    m->failures = pn_metrics_counter(reg, "pinna_transcription_failures_total", "Transcriptions that failed.",
                                     "reason");
    m->upload_bytes = pn_metrics_counter(reg, "pinna_upload_bytes_total", "Bytes of uploads taken.", "");
    m->handshakes = pn_metrics_counter(reg, "pinna_tls_handshakes_total",
                                       "TLS handshakes, and what came of them.", "result");
    m->tls_connections = pn_metrics_gauge(reg, "pinna_tls_connections", "TLS connections open.", "");
    m->connections = pn_metrics_gauge(reg, "pinna_http_connections", "TCP connections open.", "");
    m->sockets = pn_metrics_gauge(reg, "pinna_websocket_connections", "WebSockets open.", "");
    m->running = pn_metrics_gauge(reg, "pinna_jobs_running", "Jobs being recognised.", "");
    m->waiting = pn_metrics_gauge(reg, "pinna_jobs_waiting", "Jobs waiting for a slot.", "");
    m->rss = pn_metrics_gauge(reg, "process_resident_memory_bytes", "Resident memory.", "");
    m->cpu = pn_metrics_counter(reg, "process_cpu_seconds_total", "CPU time used.", "");
    m->fds = pn_metrics_gauge(reg, "process_open_fds", "Open descriptors.", "");
    m->log_dropped =
        pn_metrics_gauge(reg, "pinna_log_records_dropped", "Log records lost to a full buffer.", "");
    make_scheduler(m, reg);
    make_live(m, reg);
    make_sessions(m, reg);
    return 0;
}

static void refresh_sessions(struct pn_server *s)
{
    struct pn_live_stats now = pn_live_stats(s->live), *shown = &s->live_shown;
    struct pn_load load = pn_scheduler_load(s->scheduler);
    const struct {
        const char *event;
        uint64_t more;
    } events[] = {
        { "opened", now.opened - shown->opened },    { "refused", now.refused - shown->refused },
        { "ended", now.ended - shown->ended },       { "failed", now.failed - shown->failed },
        { "dropped", now.dropped - shown->dropped }, { "shed", now.shed - shown->shed },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(events); i++)
        pn_metric_add(s->m.session_events, (double)events[i].more, events[i].event);
    pn_metric_set(s->m.sessions, now.open);
    pn_metric_add(s->m.session_audio, now.audio_s - shown->audio_s);
    pn_metric_add(s->m.bad_packets, (double)(now.bad_packets - shown->bad_packets));
    pn_metric_set(s->m.lag, load.lag_s);
    pn_metric_set(s->m.busy, load.busy);
    *shown = now;
}

static void refresh_scheduler(struct pn_server *s)
{
    pn_metric_set(s->m.level, pn_scheduler_load(s->scheduler).level);
    double steps = (double)pn_scheduler_stats(s->scheduler).steps;
    pn_metric_add(s->m.steps, steps - pn_metric_total(s->m.steps));
}

void pn_server_metrics_refresh(struct pn_server *s)
{
    struct pn_transcriber_stats t = pn_transcriber_stats(s->transcriber);
    pn_metric_set(s->m.connections, pn_conns_count(s->conns));
    pn_metric_set(s->m.tls_connections, pn_tls_count(s->tls));
    pn_metric_set(s->m.sockets, pn_ws_table_count(s->sockets));
    pn_metric_set(s->m.running, t.running);
    pn_metric_set(s->m.waiting, t.waiting);
    pn_metric_set(s->m.rss, (double)s->usage.rss_bytes);
    pn_metric_add(s->m.cpu, (double)s->usage.cpu_us / 1e6 - pn_metric_total(s->m.cpu));
    pn_metric_set(s->m.fds, s->usage.open_fds);
    pn_metric_set(s->m.log_dropped, (double)pn_log_dropped());
    refresh_scheduler(s);
    refresh_sessions(s);
}

void pn_server_count_job(struct pn_server *s, const struct pn_job_result *result)
{
    if (result->code < 0) {
        pn_metric_add(s->m.failures, 1, pn_error_name(result->code));
        return;
    }
    const struct pn_transcript *t = result->transcript;
    pn_metric_add(s->m.transcriptions, 1, t->language, t->model);
    pn_metric_observe(s->m.duration, result->ran_s, t->model);
    pn_metric_observe(s->m.audio, t->duration, t->model);
}
