/* reply.c - see reply.h. */
#include "server/reply.h"

#include "base/json.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define MAX_ERROR_BODY 4096

static char oom_body[] =
    "{\"error\":{\"message\":\"out of memory\",\"type\":\"server_error\",\"param\":null,\"code\":null}}";
static struct pn_reply out_of_memory = {
    .status = 503, .content_type = "application/json", .body = oom_body, .len = sizeof(oom_body) - 1
};

struct pn_reply *pn_reply_new(int status, const char *content_type, struct pn_buf *body)
{
    struct pn_reply *r = calloc(1, sizeof(*r));
    if (!r || pn_buf_take(body, &r->body, &r->len) < 0) {
        free(r);
        pn_buf_done(body);
        return &out_of_memory;
    }
    r->status = status;
    r->content_type = content_type;
    return r;
}

struct pn_reply *pn_reply_free(struct pn_reply *r)
{
    if (r && r != &out_of_memory) {
        free(r->body);
        free(r);
    }
    return NULL;
}

void pn_reply_header(struct pn_reply *r, const char *name, const char *fmt, ...)
{
    if (r == &out_of_memory || r->n_headers == PN_REPLY_HEADERS)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->headers[r->n_headers].value, sizeof(r->headers[0].value), fmt, ap);
    va_end(ap);
    r->headers[r->n_headers++].name = name;
}

void pn_reply_fields(struct pn_reply *r, const struct pn_reply_field *fields)
{
    if (r != &out_of_memory)
        r->fields = fields;
}

static const char *error_type(int status)
{
    if (status == 429)
        return "requests";
    return status >= 500 || status == 413 ? "server_error" : "invalid_request_error";
}

static void write_error(struct pn_buf *out, int status, const char *param, const char *code,
                        const char *message)
{
    struct pn_json j;
    pn_json_init(&j, out);
    pn_json_begin_object(&j);
    pn_json_key(&j, "error");
    pn_json_begin_object(&j);
    pn_json_key(&j, "message");
    pn_json_cstr(&j, message);
    pn_json_key(&j, "type");
    pn_json_cstr(&j, error_type(status));
    pn_json_key(&j, "param");
    pn_json_cstr(&j, param);
    pn_json_key(&j, "code");
    pn_json_cstr(&j, code);
    pn_json_end_object(&j);
    pn_json_end_object(&j);
}

struct pn_reply *pn_reply_error(int status, const char *param, const char *code, const char *fmt, ...)
{
    char message[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);

    struct pn_buf b;
    pn_buf_init(&b, MAX_ERROR_BODY);
    write_error(&b, status, param, code, message);
    return pn_reply_new(status, "application/json", &b);
}

static const char *reason(int status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Error";
    }
}

size_t pn_reply_raw(int status, const char *why, char *out, size_t cap)
{
    char id[PN_REQUEST_ID_SIZE];
    struct pn_buf body;
    pn_request_id(id);
    pn_buf_init(&body, cap / 2);
    write_error(&body, status, NULL, status == 503 ? "overloaded" : NULL, why);
    int n = snprintf(out, cap,
                     "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                     "Connection: close\r\nx-request-id: %s\r\n%s\r\n%s",
                     status, reason(status), body.len, id, status == 503 ? "Retry-After: 1\r\n" : "",
                     body.len ? body.ptr : "");
    pn_buf_done(&body);
    return n < 0 ? 0 : PN_MIN((size_t)n, cap - 1);
}

void pn_request_id(char out[PN_REQUEST_ID_SIZE])
{
    static _Atomic uint64_t boot, count;
    uint64_t seed = atomic_load_explicit(&boot, memory_order_relaxed);
    while (seed == 0) {
        if (getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed))
            atomic_store_explicit(&boot, seed, memory_order_relaxed);
    }
    uint64_t n = atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    snprintf(out, PN_REQUEST_ID_SIZE, "req_%016llx%08llx", (unsigned long long)seed,
             (unsigned long long)(n & 0xffffffffu));
}
