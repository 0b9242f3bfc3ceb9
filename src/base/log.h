/* log.h - one log for the program: text or JSON lines, to stderr and to a rotated file.
 *
 * Any thread may log. A record is formatted by the caller into a bounded ring that one writer thread
 * empties, so a slow disk never blocks anybody; when the ring is full the record is dropped and counted,
 * and the writer says how many were lost. Everything that is given is escaped (control bytes, invalid
 * UTF-8, quotes): one record is one line. Secrets are never passed in.
 * Before pn_log_start() and after pn_log_stop(), records go to stderr at once. */
#ifndef PN_BASE_LOG_H
#define PN_BASE_LOG_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

enum pn_log_level { PN_DEBUG, PN_INFO, PN_WARN, PN_ERROR };

struct pn_field {
    const char *key; /* a literal: lower_case words */
    enum { PN_FIELD_STR, PN_FIELD_I64, PN_FIELD_F64, PN_FIELD_BOOL } type;
    union {
        struct pn_str str;
        int64_t i64;
        double f64;
        bool boolean;
    };
};

#define F_STR(k, slice) ((struct pn_field){ .key = (k), .type = PN_FIELD_STR, .str = (slice) })
#define F_CSTR(k, s)    ((struct pn_field){ .key = (k), .type = PN_FIELD_STR, .str = pn_str(s) })
#define F_I64(k, v)     ((struct pn_field){ .key = (k), .type = PN_FIELD_I64, .i64 = (int64_t)(v) })
#define F_F64(k, v)     ((struct pn_field){ .key = (k), .type = PN_FIELD_F64, .f64 = (v) })
#define F_BOOL(k, v)    ((struct pn_field){ .key = (k), .type = PN_FIELD_BOOL, .boolean = (v) })
#define F_ERR(e)        ((struct pn_field){ .key = "error", .type = PN_FIELD_STR, .str = pn_str((e)->text) })

struct pn_log_options {
    enum pn_log_level level; /* records below it cost one comparison */
    bool json;               /* {"time","level","event",...} a line; else readable text */
    bool to_stderr;
    const char *file;    /* NULL or "" for none; its folder is made if missing */
    size_t rotate_bytes; /* 10 MB by default: file -> file.1 -> ... */
    int rotate_keep;     /* 5 by default */
};

/* Fails (-PN_EIO) when the file cannot be opened; nothing is started then. */
PN_MUST_CHECK int pn_log_start(const struct pn_log_options *opt, struct pn_err *err);
void pn_log_stop(void);   /* writes what is queued, closes the file */
void pn_log_reopen(void); /* after logrotate moved the file (SIGHUP); any thread, not a signal handler */
bool pn_log_on(enum pn_log_level level);
uint64_t pn_log_dropped(void); /* records lost so far */
void pn_log_write(enum pn_log_level level, const char *event, const struct pn_field *fields, size_t n);

/* pn_log(PN_INFO, "upload done", F_I64("bytes", n), F_STR("name", name)); at least one field. */
#define pn_log(level, event, ...)                                             \
    do {                                                                      \
        if (pn_log_on(level)) {                                               \
            const struct pn_field pn_fields_[] = { __VA_ARGS__ };             \
            pn_log_write(level, event, pn_fields_, PN_ARRAY_LEN(pn_fields_)); \
        }                                                                     \
    } while (0)

#endif
