/* config.h - every setting of the program, typed. docs/configuration.md is generated from the table in
 * config.c. */
#ifndef PN_BASE_CONFIG_H
#define PN_BASE_CONFIG_H

#include "base/option.h"

struct pn_config {
    /* server */
    const char *host;             /* HOST 0.0.0.0 */
    int64_t port;                 /* PORT 9999; 0 takes a free one */
    int64_t max_connections;      /* MAX_CONNECTIONS 20: WebSockets */
    int64_t max_http_connections; /* PINNA_MAX_HTTP_CONNECTIONS 1024: TCP connections */
    int64_t ws_timeout_s;         /* WS_TIMEOUT 300 */
    int64_t realtime_session_s;   /* PINNA_REALTIME_SESSION 3600 */
    int64_t max_message_mb;       /* PINNA_MAX_MESSAGE_MB 64: one WebSocket message of audio */
    int64_t funasr_port;          /* FUNASR_PORT 0 = none: FunASR's WebSocket alone */
    const char *tls_cert;         /* TLS_CERT, PEM chain; "" = plain HTTP */
    const char *tls_key;          /* TLS_KEY, PEM; "" = it is in TLS_CERT's file */
    int64_t max_upload_mb;        /* PINNA_MAX_UPLOAD_MB 100; MB = 2^20 bytes */
    int64_t header_timeout_s;     /* PINNA_HEADER_TIMEOUT 10, absolute */
    int64_t body_timeout_s;       /* PINNA_BODY_TIMEOUT 3600, absolute */
    int64_t body_min_rate;        /* PINNA_BODY_MIN_RATE 1024 bytes/s, averaged over 30 s */
    int64_t keepalive_s;          /* PINNA_KEEPALIVE 75 */
    const char *spool_dir;        /* PINNA_SPOOL_DIR, "" = TMPDIR or /tmp */
    /* engine */
    const char *model_name;          /* MODEL_NAME paraformer-zh-streaming: sockets */
    const char *whisper_model;       /* WHISPER_MODEL base: uploads and the command line */
    const char *vad;                 /* PINNA_VAD auto|fsmn|silero|energy|off, or a path */
    const char *punctuation;         /* PINNA_PUNCTUATION auto|off, a name or a path */
    const char *final_model;         /* PINNA_FINAL_MODEL auto|off, a name or a path: the second pass */
    const char *model_dir;           /* MODEL_DIR, "" = model/caches.h chooses */
    const char *precision;           /* PINNA_PRECISION int8|f32 */
    const char *cache_dir;           /* PINNA_CACHE_DIR, "" = none */
    int64_t max_models;              /* PINNA_MAX_MODELS 3 */
    bool auto_pull;                  /* PINNA_AUTO_PULL */
    bool offline;                    /* PINNA_OFFLINE */
    const char *hf_endpoint;         /* HF_ENDPOINT https://huggingface.co */
    const char *modelscope_endpoint; /* MODELSCOPE_ENDPOINT https://modelscope.cn */
    const char *model_url;           /* PINNA_MODEL_URL, "" = OpenAI's */
    const char *catalogue;           /* PINNA_CATALOGUE, "" = none */
    const char *cpu;                 /* PINNA_CPU auto */
    const char *device;              /* DEVICE cpu */
    int64_t threads; /* TORCH_NUM_THREADS,OMP_NUM_THREADS,MKL_NUM_THREADS; 0 = all cores allowed */
    /* recognition */
    int64_t max_memory_mb;     /* ASR_MAX_MEMORY_MB 0 = no ceiling */
    bool memory_pool;          /* ASR_ENABLE_MEMORY_POOL */
    int64_t cache_mb;          /* ASR_CACHE_SIZE_MB */
    int64_t max_concurrent;    /* ASR_MAX_CONCURRENT 20 */
    int64_t batch_size;        /* ASR_BATCH_SIZE */
    int64_t worker_threads;    /* ASR_WORKER_THREADS 4 */
    int64_t chunk_samples;     /* ASR_CHUNK_SIZE */
    int64_t overlap_samples;   /* ASR_OVERLAP_SIZE */
    int64_t queue_size;        /* ASR_QUEUE_SIZE 50 */
    bool aggressive_gc;        /* ASR_ENABLE_AGGRESSIVE_GC: give freed memory back after every job */
    int64_t network_timeout_s; /* ASR_NETWORK_TIMEOUT 30 */
    /* audio */
    int64_t max_audio_s; /* PINNA_MAX_AUDIO_SECONDS 14400 */
    const char
        *decoder; /* PINNA_DECODER: path of pinna-decode; "" = beside the program, then libexec, then PATH */
    int64_t decode_memory_mb; /* PINNA_DECODE_MEMORY_MB 512: address space of one decode child */
    int64_t decode_cpu_s;     /* PINNA_DECODE_CPU_SECONDS 600 */
    int64_t decode_stall_s;   /* PINNA_DECODE_STALL 30: silent for that long while we wait = hung */
    /* log */
    const char *log_level;  /* LOG_LEVEL info */
    const char *log_format; /* PINNA_LOG_FORMAT text|json */
    const char *log_file;   /* PINNA_LOG_FILE logs/asr.log; "" = none */
};

extern const struct pn_opt_table pn_config_table;

struct pn_config_loaded {
    struct pn_config config;
    struct pn_opt_values values; /* origins, for `pinna config` */
};

/* Defaults, then YAML (`yaml_path`, may be NULL), then `dotenv_path` (NULL: none; missing is fine), then the
 * environment. Flags are read afterwards by pn_opt_read_flags(); then call pn_config_check(). All memory is
 * the arena's. */
PN_MUST_CHECK int pn_config_load(struct pn_arena *arena, const char *yaml_path, const char *dotenv_path,
                                 struct pn_config_loaded **ret, struct pn_err *err);
/* What one option alone cannot know: DEVICE other than cpu, folders, contradictions. */
PN_MUST_CHECK int pn_config_check(const struct pn_config *c, struct pn_err *err);

#endif
