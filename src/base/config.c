/* config.c - see config.h. The one table of settings, and the rules that span several of them.
 *
 * Parsing, defaults, --help, `pinna config` and docs/configuration.md all come from this table. The names in
 * capitals without PINNA_ are those of the services that Pinna replaces; they work unchanged. */
#include "base/config.h"

#include "base/dotenv.h"
#include "base/yaml.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define F(member) offsetof(struct pn_config, member)

/* Kinds of rows; what follows is key, environment, flag, field, default. */
#define TEXT(k, e, f, m, d) .key = k, .env = e, .flag = f, .type = PN_OPT_STR, .offset = F(m), .fallback = d
#define NUMBER(k, e, f, m, d, lo, hi) \
    .key = k, .env = e, .flag = f, .type = PN_OPT_INT, .offset = F(m), .fallback = d, .min = lo, .max = hi
#define SWITCH(k, e, f, m, d) \
    .key = k, .env = e, .flag = f, .type = PN_OPT_BOOL, .offset = F(m), .fallback = d
#define CHOICE(k, e, f, m, d, c) \
    .key = k, .env = e, .flag = f, .type = PN_OPT_CHOICE, .offset = F(m), .fallback = d, .choices = c

#define DAY_S  86400
#define WEEK_S 604800
#define TB_MB  1048576 /* one terabyte, in megabytes */

static const struct pn_opt OPTS[] = {
    { TEXT("server.host", "HOST", "host", host, "0.0.0.0"), .arg = "ADDRESS",
      .help = "address to listen on" },
    { NUMBER("server.port", "PORT", "port", port, "9999", 0, 65535), .letter = 'p', .arg = "PORT",
      .help = "port to listen on; 0 takes a free one" },
    { NUMBER("server.max_connections", "MAX_CONNECTIONS", "max-connections", max_connections, "20", 1,
             100000),
      .arg = "N", .help = "WebSocket connections at once" },
    { NUMBER("server.max_http_connections", "PINNA_MAX_HTTP_CONNECTIONS", "max-http-connections",
             max_http_connections, "1024", 8, 1000000),
      .advanced = true, .arg = "N", .help = "TCP connections at once, of any kind" },
    { NUMBER("server.ws_timeout", "WS_TIMEOUT", "ws-timeout", ws_timeout_s, "300", 1, DAY_S),
      .advanced = true, .arg = "SECONDS", .help = "a WebSocket on which nothing came for so long is closed" },
    { NUMBER("server.realtime_session", "PINNA_REALTIME_SESSION", "realtime-session", realtime_session_s,
             "3600", 1, DAY_S),
      .advanced = true, .arg = "SECONDS", .help = "a session of /v1/realtime is ended after so long" },
    { NUMBER("server.max_message_mb", "PINNA_MAX_MESSAGE_MB", "max-message-mb", max_message_mb, "64", 1,
             4096),
      .advanced = true, .arg = "MB", .help = "longest WebSocket message of audio, in units of 2^20 bytes" },
    { NUMBER("server.funasr_port", "FUNASR_PORT", "funasr-port", funasr_port, "0", 0, 65535), .arg = "PORT",
      .help = "another port, which speaks FunASR's WebSocket protocol, 10095 by custom; 0 means none" },
    { TEXT("server.tls_cert", "TLS_CERT", "tls-cert", tls_cert, ""), .arg = "FILE",
      .help = "certificate chain in PEM: all ports then speak TLS; read again on SIGHUP" },
    { TEXT("server.tls_key", "TLS_KEY", "tls-key", tls_key, ""), .arg = "FILE",
      .help = "private key in PEM; empty means that it lies in the certificate's file" },
    { NUMBER("server.max_upload_mb", "PINNA_MAX_UPLOAD_MB", "max-upload-mb", max_upload_mb, "100", 1, TB_MB),
      .arg = "MB", .help = "largest upload, in units of 2^20 bytes" },
    { NUMBER("server.header_timeout", "PINNA_HEADER_TIMEOUT", "header-timeout", header_timeout_s, "10", 1,
             3600),
      .advanced = true, .arg = "SECONDS", .help = "time for a request's headers, from its first byte" },
    { NUMBER("server.body_timeout", "PINNA_BODY_TIMEOUT", "body-timeout", body_timeout_s, "3600", 1, WEEK_S),
      .advanced = true, .arg = "SECONDS", .help = "time for a request's body, however steadily it comes" },
    { NUMBER("server.body_min_rate", "PINNA_BODY_MIN_RATE", "body-min-rate", body_min_rate, "1024", 0, 1e9),
      .advanced = true, .arg = "BYTES",
      .help = "a body that comes slower than so many bytes a second over 30 s is refused" },
    { NUMBER("server.keepalive", "PINNA_KEEPALIVE", "keepalive", keepalive_s, "75", 1, DAY_S),
      .advanced = true, .arg = "SECONDS", .help = "an idle connection is kept for so long" },
    { TEXT("server.spool_dir", "PINNA_SPOOL_DIR", "spool-dir", spool_dir, ""), .advanced = true, .arg = "DIR",
      .help = "folder for uploads in progress; empty means TMPDIR, else /tmp" },

    { TEXT("engine.whisper_model", "WHISPER_MODEL", "model", whisper_model, "base"), .letter = 'm',
      .arg = "MODEL", .help = "model for uploads and the command line" },
    { TEXT("engine.model_name", "MODEL_NAME", "live-model", model_name, "paraformer-zh-streaming"),
      .arg = "MODEL", .help = "model for live audio; where it is missing, that for uploads" },
    { TEXT("engine.vad", "PINNA_VAD", "vad-model", vad, "auto"), .arg = "MODEL",
      .help = "what finds speech: fsmn, silero, energy, off, or a path; auto takes the first that is here" },
    { TEXT("engine.punctuation", "PINNA_PUNCTUATION", "punctuation-model", punctuation, "auto"),
      .arg = "MODEL",
      .help = "model that punctuates text without marks, or off; auto takes ct-punc if it is here" },
    { TEXT("engine.final_model", "PINNA_FINAL_MODEL", "final-model", final_model, "auto"), .arg = "MODEL",
      .help =
          "model that corrects what was heard live when a sentence ends, or off; auto takes paraformer-zh "
          "if it is here and the live model is Chinese" },
    { TEXT("engine.model_dir", "MODEL_DIR", "model-dir", model_dir, ""), .arg = "DIR",
      .help = "folder of downloaded models; empty means models in the state folder of a systemd service, in "
              "/var/lib/pinna for root where that exists, else in ~/.local/share/pinna" },
    { CHOICE("engine.precision", "PINNA_PRECISION", "precision", precision, "int8", "int8,f32"),
      .arg = "PRECISION", .help = "arithmetic of the models: int8 is several times faster, f32 exact" },
    { TEXT("engine.cache_dir", "PINNA_CACHE_DIR", "cache-dir", cache_dir, ""), .advanced = true, .arg = "DIR",
      .help = "folder for packed models that cannot be kept beside their model; empty keeps them in memory" },
    { NUMBER("engine.max_models", "PINNA_MAX_MODELS", "max-models", max_models, "3", 1, 64), .advanced = true,
      .arg = "N",
      .help = "models loaded at once, for requests that name one; the longest idle one makes room" },
    { SWITCH("engine.auto_pull", "PINNA_AUTO_PULL", "auto-pull", auto_pull, "false"),
      .help = "download a model that is missing at start" },
    { SWITCH("engine.offline", "PINNA_OFFLINE", "offline", offline, "false"),
      .help = "never download a model" },
    { TEXT("engine.hf_endpoint", "HF_ENDPOINT", "hf-endpoint", hf_endpoint, "https://huggingface.co"),
      .advanced = true, .arg = "URL", .help = "the Hugging Face hub, or a mirror of it" },
    { TEXT("engine.modelscope_endpoint", "MODELSCOPE_ENDPOINT", "modelscope-endpoint", modelscope_endpoint,
           "https://modelscope.cn"),
      .advanced = true, .arg = "URL", .help = "the ModelScope hub, or a mirror of it" },
    { TEXT("engine.model_url", "PINNA_MODEL_URL", "model-url", model_url, ""), .advanced = true, .arg = "URL",
      .help = "a mirror of OpenAI's checkpoints (URL/SHA256/NAME.pt) and rank files (URL/NAME.tiktoken)" },
    { TEXT("engine.catalogue", "PINNA_CATALOGUE", "catalogue", catalogue, ""), .advanced = true,
      .arg = "FILE", .help = "JSON file of further models that can be downloaded; see docs/models.md" },
    { TEXT("engine.cpu", "PINNA_CPU", "cpu", cpu, "auto"), .advanced = true, .arg = "LEVEL",
      .help = "highest instruction set for the kernels: c, avx2, avx512, vnni, fp16, neon, dotprod" },
    { TEXT("engine.device", "DEVICE", "device", device, "cpu"), .advanced = true, .arg = "DEVICE",
      .help = "where models run; this version knows only cpu" },
    { NUMBER("engine.threads", "TORCH_NUM_THREADS,OMP_NUM_THREADS,MKL_NUM_THREADS", "threads", threads, "0",
             0, 1024),
      .first_of_list = true, .arg = "N",
      .help = "compute threads; 0 means one for each core that may be used" },

    { NUMBER("recognition.max_memory_mb", "ASR_MAX_MEMORY_MB", "max-memory-mb", max_memory_mb, "0", 0, TB_MB),
      .advanced = true, .arg = "MB", .help = "memory above which no new work is taken; 0 means no ceiling" },
    { SWITCH("recognition.memory_pool", "ASR_ENABLE_MEMORY_POOL", "memory-pool", memory_pool, "true"),
      .no_effect = true, .help = "reuse the memory of finished streams" },
    { NUMBER("recognition.cache_mb", "ASR_CACHE_SIZE_MB", "cache-mb", cache_mb, "256", 0, TB_MB),
      .no_effect = true, .arg = "MB", .help = "memory for results that may be asked for again" },
    { NUMBER("recognition.max_concurrent", "ASR_MAX_CONCURRENT", "max-concurrent", max_concurrent, "20", 1,
             10000),
      .arg = "N", .help = "recordings recognised at once" },
    { NUMBER("recognition.batch_size", "ASR_BATCH_SIZE", "batch-size", batch_size, "32", 1, 1024),
      .advanced = true, .arg = "N", .help = "streams in one step of a model" },
    { NUMBER("recognition.worker_threads", "ASR_WORKER_THREADS", "worker-threads", worker_threads, "4", 1,
             256),
      .advanced = true, .arg = "N", .help = "threads that move audio between decoders and models" },
    { NUMBER("recognition.chunk_samples", "ASR_CHUNK_SIZE", "chunk-samples", chunk_samples, "9600", 160,
             480000),
      .arg = "SAMPLES", .help = "piece in which live audio is handed on, at 16 kHz" },
    { NUMBER("recognition.overlap_samples", "ASR_OVERLAP_SIZE", "overlap-samples", overlap_samples, "1600", 0,
             160000),
      .advanced = true, .arg = "SAMPLES",
      .help =
          "audio kept before and behind the speech that is found in live audio, at 16 kHz; 0: as much as the "
          "detector wants" },
    { NUMBER("recognition.queue_size", "ASR_QUEUE_SIZE", "queue-size", queue_size, "50", 1, 100000),
      .arg = "N", .help = "recordings that may wait; further ones are refused with 503" },
    { SWITCH("recognition.aggressive_gc", "ASR_ENABLE_AGGRESSIVE_GC", "aggressive-gc", aggressive_gc,
             "false"),
      .advanced = true, .help = "give freed memory back to the system after every recording" },
    { NUMBER("recognition.network_timeout", "ASR_NETWORK_TIMEOUT", "network-timeout", network_timeout_s, "30",
             1, 3600),
      .advanced = true, .arg = "SECONDS",
      .help = "a service or a download that is silent for so long is given up" },

    { NUMBER("audio.max_seconds", "PINNA_MAX_AUDIO_SECONDS", "max-audio-seconds", max_audio_s, "14400", 1,
             WEEK_S),
      .arg = "SECONDS", .help = "longest recording" },
    { TEXT("audio.decoder", "PINNA_DECODER", "decoder", decoder, ""), .advanced = true, .arg = "FILE",
      .help = "the program pinna-decode; empty looks beside this program, in libexec, in PATH" },
    { NUMBER("audio.decode_memory_mb", "PINNA_DECODE_MEMORY_MB", "decode-memory-mb", decode_memory_mb, "512",
             64, TB_MB),
      .advanced = true, .arg = "MB", .help = "address space of the child program that decodes one file" },
    { NUMBER("audio.decode_cpu_seconds", "PINNA_DECODE_CPU_SECONDS", "decode-cpu-seconds", decode_cpu_s,
             "600", 1, DAY_S),
      .advanced = true, .arg = "SECONDS", .help = "processor time for decoding one file" },
    { NUMBER("audio.decode_stall", "PINNA_DECODE_STALL", "decode-stall", decode_stall_s, "30", 1, 3600),
      .advanced = true, .arg = "SECONDS",
      .help = "a decoder that is silent for so long while it is waited for is ended" },

    { CHOICE("log.level", "LOG_LEVEL", "log-level", log_level, "info",
             "debug|trace,info,warn|warning,error|critical|fatal"),
      .arg = "LEVEL", .help = "least level that is logged" },
    { CHOICE("log.format", "PINNA_LOG_FORMAT", "log-format", log_format, "text", "text,json"),
      .advanced = true, .arg = "FORMAT", .help = "form of the log's lines" },
    { TEXT("log.file", "PINNA_LOG_FILE", "log-file", log_file, "logs/asr.log"), .choices = "none",
      .advanced = true, .arg = "FILE", .help = "log file, rotated at 10 MB with 5 kept; 'none' for none" },
};

const struct pn_opt_table pn_config_table = { OPTS, PN_ARRAY_LEN(OPTS) };

int pn_config_load(struct pn_arena *arena, const char *yaml_path, const char *dotenv_path,
                   struct pn_config_loaded **ret, struct pn_err *err)
{
    struct pn_config_loaded *c = pn_arena_alloc(arena, sizeof(*c));
    if (!c || pn_opt_init(&c->values, &pn_config_table, &c->config, arena) < 0)
        return pn_fail(err, PN_ENOMEM, "no memory for the configuration");
    int r = yaml_path ? pn_opt_read_yaml(&c->values, yaml_path, err) : 0;
    if (r == 0 && dotenv_path)
        r = pn_opt_read_dotenv(&c->values, dotenv_path, false, err);
    if (r == 0)
        r = pn_opt_read_env(&c->values, err);
    if (r == 0)
        *ret = c;
    return r;
}

static int check_device(const char *device, struct pn_err *err)
{
    if (strcasecmp(device, "cpu") == 0)
        return 0;
    return pn_fail(err, PN_EUNSUPPORTED,
                   "DEVICE: '%.40s' is not supported: this version runs on the CPU only; "
                   "leave it unset or set it to cpu",
                   device);
}

static int check_folder(const char *name, const char *dir, struct pn_err *err)
{
    struct stat st;
    if (!dir[0])
        return 0;
    if (stat(dir, &st) < 0)
        return pn_fail(err, PN_EINVAL, "%s: %s: %s", name, dir, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return pn_fail(err, PN_EINVAL, "%s: %s is not a folder", name, dir);
    if (access(dir, W_OK | X_OK) < 0)
        return pn_fail(err, PN_EINVAL, "%s: %s cannot be written to: %s", name, dir, strerror(errno));
    return 0;
}

static int check_program(const char *name, const char *path, struct pn_err *err)
{
    if (!path[0] || access(path, X_OK) == 0)
        return 0;
    return pn_fail(err, PN_EINVAL, "%s: %s cannot be run: %s", name, path, strerror(errno));
}

static int check_text(const char *name, const char *value, struct pn_err *err)
{
    return value[0] ? 0 : pn_fail(err, PN_EINVAL, "%s must not be empty", name);
}

int pn_config_check(const struct pn_config *c, struct pn_err *err)
{
    int r = check_device(c->device, err);
    if (r == 0)
        r = check_text("HOST", c->host, err);
    if (r == 0)
        r = check_text("WHISPER_MODEL", c->whisper_model, err);
    if (r == 0)
        r = check_folder("PINNA_SPOOL_DIR", c->spool_dir, err);
    if (r == 0)
        r = check_program("PINNA_DECODER", c->decoder, err);
    if (r == 0 && c->tls_key[0] && !c->tls_cert[0])
        r = pn_fail(err, PN_EINVAL, "TLS_KEY is set, but TLS_CERT is not");
    return r;
}
