/* state.h - what the files of this folder share: the server's parts. Loop thread only, except where a part
 * says otherwise. */
#ifndef PN_SERVER_STATE_H
#define PN_SERVER_STATE_H

#include "asr/live/live.h"
#include "asr/transcriber.h"
#include "base/config.h"
#include "base/metrics.h"
#include "base/process.h"
#include "server/acceptor.h"
#include "server/conn.h"
#include "server/http.h"
#include "server/request.h"
#include "server/tls.h"
#include "server/ws.h"

struct pn_server_metrics {
    struct pn_metric *requests;       /* pinna_http_requests_total{route,status} */
    struct pn_metric *refused;        /* pinna_refused_total{reason} */
    struct pn_metric *transcriptions; /* whisper_transcription_total{language,model} */
    struct pn_metric *duration;       /* whisper_transcription_duration_seconds{model} */
    struct pn_metric *audio;          /* whisper_audio_duration_seconds{model} */
    struct pn_metric *failures;       /* pinna_transcription_failures_total{reason} */
    struct pn_metric *handshakes;     /* pinna_tls_handshakes_total{result} */
    struct pn_metric *upload_bytes;   /* pinna_upload_bytes_total */
    struct pn_metric *connections, *tls_connections, *sockets, *running,
        *waiting; /* gauges, set when rendered */
    struct pn_metric *rss, *cpu, *fds, *log_dropped;
    struct pn_metric *steps, *level; /* of the scheduler */
    /* Of speech over sockets, for all protocols. */
    struct pn_metric *live_connections; /* pinna_live_connections_total{protocol} */
    struct pn_metric *live_utterances;  /* pinna_live_utterances_total{protocol} */
    struct pn_metric *live_audio;       /* pinna_live_audio_seconds_total{protocol} */
    struct pn_metric *live_ignored; /* pinna_live_ignored_messages_total{protocol}: audio that nobody waits
                                       for */
    struct pn_metric *live_errors;  /* pinna_live_errors_total{protocol,code} */
    struct pn_metric *live_first;   /* pinna_live_first_partial_seconds{protocol}: since the first audio */
    struct pn_metric *live_final;   /* pinna_live_final_seconds{protocol}: since the end of the audio */
    /* Of the engine's sessions. */
    struct pn_metric *sessions;       /* gauge, set when rendered, as the next ones */
    struct pn_metric *session_events; /* pinna_live_sessions_total{event} */
    struct pn_metric *session_audio, *bad_packets, *lag, *busy;
    struct pn_metric *chunk_latency; /* pinna_live_chunk_seconds */
};

struct pn_server {
    const struct pn_config *config;
    struct pn_loop *loop;
    struct pn_listener listeners[PN_LISTENERS_MAX];
    size_t n_listeners;
    struct pn_acceptor *acceptor; /* one of these two accepts; the other is NULL */
    struct pn_tls *tls;
    struct pn_conns *conns;
    struct pn_http *http;
    struct pn_ws_table *sockets;
    struct pn_rt_secrets *realtime_secrets; /* NULL: none was asked for yet */
    struct pn_metrics *metrics;
    struct pn_server_metrics m;
    struct pn_models *models;
    struct pn_model_listing *model_listing; /* NULL: nobody asked yet */
    struct pn_scheduler *scheduler;
    struct pn_decoder_pool *decoders;
    struct pn_transcriber *transcriber;
    struct pn_live_engine *live;
    struct pn_live_stats live_shown; /* what its counters say in the metrics */
    struct pn_process_sample usage;  /* refreshed once a second */
    struct pn_source signals;
    struct pn_request *requests; /* all that have not ended */
    int n_requests;
    uint64_t last_serial;
    int64_t started_ms; /* Unix time */
    bool draining;
    int exit_code;
};

/* Fills s->m. */
PN_MUST_CHECK int pn_server_metrics_init(struct pn_server *s, struct pn_err *err);
/* Sets the gauges from the parts' present state. */
void pn_server_metrics_refresh(struct pn_server *s);
/* A file's job has ended. Any thread. */
void pn_server_count_job(struct pn_server *s, const struct pn_job_result *result);
/* 0, or -PN_EFULL with the reason ("queue", "memory", "draining") why no new work is taken now. */
int pn_server_admit(struct pn_server *s, const char **ret_reason);
/* The 503 for that. */
struct pn_reply *pn_server_refuse(struct pn_server *s, const char *reason);

#endif
