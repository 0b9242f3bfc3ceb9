/* log.c - see log.h.
 *
 * Callers format their record, then append it to `filling` under the mutex. One writer thread swaps `filling`
 * with the empty `draining` and writes that outside the mutex: at most two buffers of QUEUE_BYTES exist, and
 * a caller waits for memory copies only, never for a disk.
 * Invariant: both buffers hold whole lines. */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/file.h"
#include "base/log_file.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_BYTES  ((size_t)1 << 20)
#define RECORD_BYTES ((size_t)64 << 10) /* a longer record is written without its fields */
#define STRING_BYTES ((size_t)4096)     /* of one string field; the rest is cut off */
#define ROTATE_BYTES ((size_t)10 << 20)
#define ROTATE_KEEP  5

static struct {
    pthread_mutex_t mu;
    pthread_cond_t wake;
    struct pn_buf filling; /* guarded by mu */
    bool running;          /* guarded by mu: records are queued, not written at once */
    bool stopping;         /* guarded by mu */
    bool reopen;           /* guarded by mu */
    _Atomic int level;
    atomic_bool json;
    _Atomic uint64_t dropped;
    /* The rest is the writer's while it runs. */
    pthread_t writer;
    struct pn_buf draining;
    struct pn_log_file file;
    char *path; /* owned */
    bool to_stderr;
    bool file_failing; /* said once an episode */
    uint64_t dropped_said;
} L = {
    .mu = PTHREAD_MUTEX_INITIALIZER,
    .wake = PTHREAD_COND_INITIALIZER,
    .filling = { .max = QUEUE_BYTES },
    .draining = { .max = QUEUE_BYTES },
    .level = PN_INFO,
    .file = { .fd = -1 },
};

/* --- one record --- */

static struct pn_str cut_string(struct pn_str s)
{
    if (s.len <= STRING_BYTES)
        return s;
    s.len = STRING_BYTES;
    while (s.len > STRING_BYTES - 4 && ((unsigned char)s.ptr[s.len] & 0xc0) == 0x80)
        s.len--; /* not through the middle of a character */
    return s;
}

static bool plain_word(struct pn_str s)
{
    static const char SAFE[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:-+@%,";
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == 0 || !strchr(SAFE, s.ptr[i]))
            return false;
    return s.len > 0;
}

static void put_text_value(struct pn_buf *out, const struct pn_field *f)
{
    struct pn_str s;
    char number[32];
    switch (f->type) {
    case PN_FIELD_STR:
        s = cut_string(f->str);
        if (plain_word(s)) {
            pn_buf_str(out, s);
            break;
        }
        pn_buf_putc(out, '"');
        pn_json_escape(out, s);
        pn_buf_putc(out, '"');
        break;
    case PN_FIELD_I64:
        pn_buf_printf(out, "%" PRId64, f->i64);
        break;
    case PN_FIELD_F64:
        pn_format_f64(f->f64, number);
        pn_buf_puts(out, number);
        break;
    case PN_FIELD_BOOL:
        pn_buf_puts(out, f->boolean ? "true" : "false");
        break;
    }
}

static void format_text(struct pn_buf *out, enum pn_log_level level, const char *event,
                        const struct pn_field *fields, size_t n)
{
    static const char *const NAMES[] = { "DEBUG", "INFO ", "WARN ", "ERROR" };
    char time[32];
    pn_format_utc(pn_wall_ms(), time);
    pn_buf_printf(out, "%s %s ", time, NAMES[level]);
    pn_json_escape(out, cut_string(pn_str(event)));
    for (size_t i = 0; i < n; i++) {
        pn_buf_printf(out, " %s=", fields[i].key);
        put_text_value(out, &fields[i]);
    }
}

static void put_json_value(struct pn_json *j, const struct pn_field *f)
{
    switch (f->type) {
    case PN_FIELD_STR:
        pn_json_str(j, cut_string(f->str));
        break;
    case PN_FIELD_I64:
        pn_json_i64(j, f->i64);
        break;
    case PN_FIELD_F64:
        pn_json_f64(j, f->f64);
        break;
    case PN_FIELD_BOOL:
        pn_json_bool(j, f->boolean);
        break;
    }
}

static void format_json(struct pn_buf *out, enum pn_log_level level, const char *event,
                        const struct pn_field *fields, size_t n)
{
    static const char *const NAMES[] = { "debug", "info", "warn", "error" };
    char time[32];
    pn_format_utc(pn_wall_ms(), time);
    struct pn_json j;
    pn_json_init(&j, out);
    pn_json_begin_object(&j);
    pn_json_key(&j, "time");
    pn_json_cstr(&j, time);
    pn_json_key(&j, "level");
    pn_json_cstr(&j, NAMES[level]);
    pn_json_key(&j, "event");
    pn_json_str(&j, cut_string(pn_str(event)));
    for (size_t i = 0; i < n; i++) {
        pn_json_key(&j, fields[i].key);
        put_json_value(&j, &fields[i]);
    }
    pn_json_end_object(&j);
}

/* The record as one line with its newline; 0 or why not. */
static int format_record(struct pn_buf *out, enum pn_log_level level, const char *event,
                         const struct pn_field *fields, size_t n)
{
    if (L.json)
        format_json(out, level, event, fields, n);
    else
        format_text(out, level, event, fields, n);
    pn_buf_putc(out, '\n');
    return out->failed;
}

static int format_bounded(struct pn_buf *out, enum pn_log_level level, const char *event,
                          const struct pn_field *fields, size_t n)
{
    int r = format_record(out, level, event, fields, n);
    if (r == -PN_ELIMIT) {
        const struct pn_field cut[] = { F_BOOL("fields_left_out", true) };
        pn_buf_clear(out);
        r = format_record(out, level, event, cut, PN_ARRAY_LEN(cut));
    }
    return r;
}

/* --- the callers' side --- */

static bool enqueue(struct pn_str line)
{
    if (line.len > L.filling.max - L.filling.len)
        return false;
    pn_buf_str(&L.filling, line);
    bool ok = L.filling.failed == 0;
    L.filling.failed = 0; /* one failed allocation must not end the log */
    pthread_cond_signal(&L.wake);
    return ok;
}

void pn_log_write(enum pn_log_level level, const char *event, const struct pn_field *fields, size_t n)
{
    struct pn_buf line;
    pn_buf_init(&line, RECORD_BYTES);
    bool ok = format_bounded(&line, level, event, fields, n) == 0;
    struct pn_str text = { line.ptr, line.len };
    pthread_mutex_lock(&L.mu);
    bool running = L.running;
    if (ok && running)
        ok = enqueue(text);
    pthread_mutex_unlock(&L.mu);
    if (ok && !running)
        ok = pn_write_all(STDERR_FILENO, text) == 0;
    if (!ok)
        L.dropped++;
    pn_buf_done(&line);
}

bool pn_log_on(enum pn_log_level level)
{
    return (int)level >= atomic_load_explicit(&L.level, memory_order_relaxed);
}

uint64_t pn_log_dropped(void)
{
    return L.dropped;
}

/* --- the writer's side --- */

/* The log's own trouble goes to stderr, whatever the options say, once until the file works again. */
static void note_file_state(int r, const struct pn_err *e)
{
    if (r < 0 && !L.file_failing) {
        struct pn_buf line;
        pn_buf_init(&line, RECORD_BYTES);
        const struct pn_field fields[] = { F_ERR(e) };
        if (format_record(&line, PN_ERROR, "log file failed", fields, 1) == 0)
            (void)pn_write_all(STDERR_FILENO, (struct pn_str){ line.ptr, line.len });
        pn_buf_done(&line);
    }
    L.file_failing = r < 0;
}

static void write_lines(struct pn_str lines)
{
    if (L.to_stderr)
        (void)pn_write_all(STDERR_FILENO, lines);
    if (L.file.fd >= 0) {
        struct pn_err e = { 0 };
        int r = pn_log_file_write(&L.file, lines, &e);
        note_file_state(r, &e);
    }
}

static void say_dropped(void)
{
    uint64_t now = L.dropped;
    if (now == L.dropped_said)
        return;
    struct pn_buf line;
    pn_buf_init(&line, RECORD_BYTES);
    const struct pn_field fields[] = { F_I64("records", now - L.dropped_said) };
    if (format_record(&line, PN_WARN, "log records lost", fields, 1) == 0) {
        write_lines((struct pn_str){ line.ptr, line.len });
        L.dropped_said = now;
    }
    pn_buf_done(&line);
}

static void reopen_file(void)
{
    if (!L.path)
        return;
    struct pn_err e = { 0 };
    int r = pn_log_file_reopen(&L.file, &e);
    note_file_state(r, &e);
}

/* Waits for work and takes it; false when there is none left and none will come. */
static bool take_work(bool *ret_reopen)
{
    pthread_mutex_lock(&L.mu);
    while (L.filling.len == 0 && !L.reopen && !L.stopping)
        pthread_cond_wait(&L.wake, &L.mu);
    struct pn_buf taken = L.filling;
    L.filling = L.draining;
    L.draining = taken;
    *ret_reopen = L.reopen;
    L.reopen = false;
    bool more = taken.len > 0 || *ret_reopen || !L.stopping;
    pthread_mutex_unlock(&L.mu);
    return more;
}

static void *writer_main(void *unused)
{
    bool reopen;
    while (take_work(&reopen)) {
        if (reopen)
            reopen_file();
        write_lines((struct pn_str){ L.draining.ptr, L.draining.len });
        pn_buf_clear(&L.draining);
        say_dropped();
    }
    return unused;
}

/* --- life --- */

/* Signals stay with the other threads; a write to a closed stderr is then only an error. */
static int start_writer(struct pn_err *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&L.writer, NULL, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r == 0 ? 0 : pn_fail(err, PN_EIO, "cannot start the log's thread: %s", strerror(r));
}

static void forget_file(void)
{
    pn_log_file_close(&L.file);
    free(L.path);
    L.path = NULL;
}

static int open_file(const struct pn_log_options *opt, struct pn_err *err)
{
    if (!opt->file || !opt->file[0])
        return 0;
    L.path = strdup(opt->file);
    if (!L.path)
        return pn_fail(err, PN_ENOMEM, "no memory for the log");
    L.file = (struct pn_log_file){ .path = L.path,
                                   .rotate_bytes = opt->rotate_bytes ? opt->rotate_bytes : ROTATE_BYTES,
                                   .rotate_keep = opt->rotate_keep > 0 ? opt->rotate_keep : ROTATE_KEEP,
                                   .fd = -1 };
    return pn_log_file_open(&L.file, err);
}

static void set_running(bool running)
{
    pthread_mutex_lock(&L.mu);
    L.running = running;
    L.stopping = !running;
    pthread_cond_signal(&L.wake);
    pthread_mutex_unlock(&L.mu);
}

int pn_log_start(const struct pn_log_options *opt, struct pn_err *err)
{
    int r = open_file(opt, err);
    if (r < 0) {
        forget_file();
        return r;
    }
    L.to_stderr = opt->to_stderr;
    L.file_failing = false;
    set_running(true);
    r = start_writer(err);
    if (r < 0) {
        set_running(false);
        forget_file();
        return r;
    }
    L.json = opt->json;
    L.level = (int)opt->level;
    return 0;
}

void pn_log_stop(void)
{
    pthread_mutex_lock(&L.mu);
    bool running = L.running;
    pthread_mutex_unlock(&L.mu);
    if (!running)
        return;
    set_running(false);
    pthread_join(L.writer, NULL);
    forget_file();
    pn_buf_done(&L.filling);
    pn_buf_done(&L.draining);
}

void pn_log_reopen(void)
{
    pthread_mutex_lock(&L.mu);
    L.reopen = L.running;
    pthread_cond_signal(&L.wake);
    pthread_mutex_unlock(&L.mu);
}
