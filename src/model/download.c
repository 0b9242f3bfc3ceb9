/* download.c - see download.h.
 *
 * Servers that ignore Range, lie about lengths or break off are normal: what is believed of an answer is
 * decided at its first byte (begin_body), and the digest has the last word. When bytes that an earlier call
 * left turn out to be wrong, the file is fetched once more from the start. */
#include "model/download.h"

#include "base/clock.h"
#include "model/curl_setup.h"
#include "model/part_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MAX_EMPTY_ATTEMPTS = 4, MAX_ATTEMPTS = 200, FIRST_PAUSE_MS = 250, SLICE_MS = 50, SHA256_DIGITS = 64 };

/* The headers of the answer that is being read; a redirect's are forgotten with the next status line. */
struct answer {
    long status;
    int64_t length; /* Content-Length, -1 unknown */
    int64_t from;   /* of Content-Range, -1: none */
    int64_t total;  /* of Content-Range, -1: unknown */
    char etag[PN_ETAG_MAX];
    bool begun; /* its body */
};

struct transfer {
    const struct pn_download_options *opt;
    struct pn_err *err;
    struct pn_part part;
    struct answer answer;
    char linked[SHA256_DIGITS + 1]; /* what the hub says of the file behind its redirect */
    int64_t total;                  /* of the file, as far as is known; -1 */
    bool answered;                  /* this server has been heard */
    int failure;                    /* -PN_E* of a callback */
    char text[CURL_ERROR_SIZE];
};

static void note(const struct pn_watch *w, const char *line)
{
    if (w->note)
        w->note(w->ctx, line);
}

static bool is_digest(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!strchr("0123456789abcdef", s.ptr[i]))
            return false;
    return s.len == SHA256_DIGITS;
}

static const char *wanted_digest(const struct transfer *t)
{
    return t->opt->digest ? t->opt->digest : t->linked[0] ? t->linked : NULL;
}

/* ---- headers ---- */

/* "bytes 5-9/10" or "bytes * /10" (without the blank). */
static void read_content_range(struct answer *a, struct pn_str v)
{
    const char *slash = memchr(v.ptr, '/', v.len);
    if (v.len < 6 || strncasecmp(v.ptr, "bytes ", 6) != 0 || !slash)
        return;
    struct pn_str total = { slash + 1, v.len - (size_t)(slash + 1 - v.ptr) };
    struct pn_str from = { v.ptr + 6, strcspn(v.ptr + 6, "-/*") };
    if (pn_parse_i64(total, 0, INT64_MAX, &a->total) < 0)
        a->total = -1;
    if (pn_parse_i64(from, 0, INT64_MAX, &a->from) < 0)
        a->from = -1;
}

static void read_header(struct transfer *t, struct pn_str name, struct pn_str v)
{
    struct answer *a = &t->answer;
    if (pn_str_ieq(name, PN_STR("content-length")) && pn_parse_i64(v, 0, INT64_MAX, &a->length) < 0)
        a->length = -1;
    else if (pn_str_ieq(name, PN_STR("content-range")))
        read_content_range(a, v);
    else if (pn_str_ieq(name, PN_STR("etag")) && pn_str_copy(a->etag, sizeof(a->etag), v) < 0)
        a->etag[0] = '\0';
    else if (pn_str_ieq(name, PN_STR("x-linked-etag")) && v.len == SHA256_DIGITS + 2 &&
             is_digest((struct pn_str){ v.ptr + 1, SHA256_DIGITS }))
        snprintf(t->linked, sizeof(t->linked), "%.*s", SHA256_DIGITS, v.ptr + 1);
}

static size_t on_header(char *bytes, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    char copy[1024]; /* with a NUL, for strcspn; longer lines are none that matter */
    size_t len = size * n;
    t->answered = true;
    if (pn_str_copy(copy, sizeof(copy), (struct pn_str){ bytes, len }) < 0)
        return len;
    if (strncmp(copy, "HTTP/", 5) == 0) {
        t->answer = (struct answer){ .length = -1, .from = -1, .total = -1 };
        const char *blank = strchr(copy, ' ');
        int64_t status = 0;
        if (blank &&
            pn_parse_i64((struct pn_str){ blank + 1, strcspn(blank + 1, " \r\n") }, 100, 999, &status) == 0)
            t->answer.status = (long)status;
        return len;
    }
    size_t colon = strcspn(copy, ":");
    if (copy[colon] == ':')
        read_header(t, (struct pn_str){ copy, colon }, pn_str_trim(pn_str(copy + colon + 1)));
    return len;
}

/* ---- the body ---- */

static int check_total(struct transfer *t)
{
    const struct pn_download_options *o = t->opt;
    if (o->size >= 0 && t->total >= 0 && t->total != o->size)
        return pn_fail(t->err, PN_EFORMAT, "wrong file: expected %lld bytes, the server has %lld",
                       (long long)o->size, (long long)t->total);
    if (t->total > o->max_bytes)
        return pn_fail(t->err, PN_ELIMIT, "the server wants to send %lld bytes; at most %lld make sense",
                       (long long)t->total, (long long)o->max_bytes);
    return 0;
}

/* At the first byte: where it belongs. */
static int begin_body(struct transfer *t)
{
    struct answer *a = &t->answer;
    int r = 0;
    a->begun = true;
    if (a->status == 206) {
        if (a->from != t->part.have)
            return pn_fail(t->err, PN_EFORMAT, "asked for bytes from %lld, the server sends from %lld",
                           (long long)t->part.have, (long long)a->from);
        t->total = a->total;
    } else {
        r = t->part.have > 0 ? pn_part_restart(&t->part, t->err) : 0;
        t->total = a->length;
    }
    if (r == 0)
        r = check_total(t);
    if (r == 0)
        pn_part_set_tag(&t->part, t->opt->url, a->etag);
    return r;
}

static int take_body(struct transfer *t, const char *bytes, size_t n)
{
    int r = t->answer.begun ? 0 : begin_body(t);
    int64_t most = t->opt->size >= 0 ? t->opt->size : t->opt->max_bytes;
    if (r == 0 && (int64_t)n > most - t->part.have)
        return pn_fail(t->err, PN_ELIMIT, "the server sends more than %lld bytes", (long long)most);
    return r == 0 ? pn_part_append(&t->part, bytes, n, t->err) : r;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    if (t->answer.status != 200 && t->answer.status != 206)
        return size * n; /* an error's page */
    t->failure = take_body(t, bytes, size * n);
    return t->failure == 0 ? size * n : 0;
}

static int on_progress(void *ctx, curl_off_t d_total, curl_off_t d_now, curl_off_t u_total, curl_off_t u_now)
{
    const struct transfer *t = ctx;
    const struct pn_watch *w = &t->opt->watch;
    return w->progress && w->progress(w->ctx, t->part.have, t->total) != 0;
}

/* ---- one attempt ---- */

/* Asks only for what is missing; If-Range lets the server send all when its file is another one by now. */
static CURLcode ask_for_rest(struct transfer *t, CURL *c, struct curl_slist **headers)
{
    char range[32], line[PN_ETAG_MAX + 16];
    if (t->part.have == 0)
        return CURLE_OK;
    snprintf(range, sizeof(range), "%lld-", (long long)t->part.have);
    CURLcode r = curl_easy_setopt(c, CURLOPT_RANGE, range);
    if (r != CURLE_OK || !t->part.etag[0])
        return r;
    snprintf(line, sizeof(line), "If-Range: %s", t->part.etag);
    *headers = curl_slist_append(NULL, line);
    return *headers ? curl_easy_setopt(c, CURLOPT_HTTPHEADER, *headers) : CURLE_OUT_OF_MEMORY;
}

static CURLcode perform(struct transfer *t, CURL *c)
{
    struct curl_slist *headers = NULL;
    CURLcode r = curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    r = r ? r : curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    r = r ? r : curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    r = r ? r : curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    r = r ? r : curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->text);
    r = r ? r : ask_for_rest(t, c, &headers);
    r = r ? r : curl_easy_perform(c);
    curl_slist_free_all(headers);
    return r;
}

/* 416: either all is there already, or the server's file is shorter than what we have. */
static int nothing_left(struct transfer *t)
{
    if (t->part.have > 0 && t->answer.total == t->part.have)
        return 0;
    int r = pn_part_restart(&t->part, t->err);
    return r < 0 ? r : -PN_EAGAIN;
}

static int judge(struct transfer *t, CURLcode code)
{
    if (t->failure < 0)
        return t->failure;
    if (code != CURLE_OK)
        return pn_curl_failure(code, t->opt->url, t->text, t->answered, t->err);
    int r = pn_http_failure(t->answer.status, t->opt->url, t->err);
    if (r == 0 && t->answer.status == 416)
        return nothing_left(t);
    if (r == 0 && !t->answer.begun)
        r = begin_body(t); /* an empty one */
    if (r == 0 && t->total >= 0 && t->part.have != t->total)
        r = -PN_EAGAIN;
    return r;
}

static int attempt(struct transfer *t)
{
    CURL *c = NULL;
    t->answer = (struct answer){ .length = -1, .from = -1, .total = -1 };
    t->failure = 0;
    t->text[0] = '\0';
    int r = pn_curl_new(t->opt->url, t->opt->stall_s, on_progress, t, &c, t->err);
    if (r < 0)
        return r;
    r = judge(t, perform(t, c));
    curl_easy_cleanup(c);
    return r;
}

/* ---- all attempts ---- */

static int pause_ms(struct transfer *t, int ms)
{
    for (int64_t end = pn_now_us() + (int64_t)ms * 1000; pn_now_us() < end;) {
        if (on_progress(t, 0, 0, 0, 0) != 0)
            return pn_fail(t->err, PN_ECANCELLED, "interrupted");
        usleep(SLICE_MS * 1000);
    }
    return 0;
}

static int give_up(struct transfer *t)
{
    char host[64];
    pn_url_host(t->opt->url, host);
    if (t->answer.status >= 400)
        return pn_fail(t->err, PN_ETIMEOUT, "%s keeps failing: HTTP %ld", host, t->answer.status);
    return pn_fail(t->err, PN_ETIMEOUT, "%s keeps breaking off after %lld bytes: %.100s", host,
                   (long long)t->part.have, t->text[0] ? t->text : "the file ended early");
}

static int fetch(struct transfer *t)
{
    int r = -PN_EAGAIN;
    for (int i = 0, empty = 0; i < MAX_ATTEMPTS && empty < MAX_EMPTY_ATTEMPTS; i++) {
        int64_t before = t->part.have;
        r = attempt(t);
        if (r != -PN_EAGAIN)
            return r;
        empty = t->part.have > before ? 0 : empty + 1;
        if (empty == MAX_EMPTY_ATTEMPTS)
            break;
        char host[64], line[160];
        pn_url_host(t->opt->url, host);
        snprintf(line, sizeof(line), "%s broke off at %lld bytes; trying again", host,
                 (long long)t->part.have);
        note(&t->opt->watch, line);
        r = pause_ms(t, FIRST_PAUSE_MS << empty);
        if (r < 0)
            return r;
    }
    return give_up(t);
}

static int check(struct transfer *t)
{
    if (t->opt->size >= 0 && t->part.have != t->opt->size)
        return pn_fail(t->err, PN_EFORMAT, "wrong file: expected %lld bytes, got %lld",
                       (long long)t->opt->size, (long long)t->part.have);
    return pn_part_check(&t->part, wanted_digest(t), t->err);
}

/* Fetches what is missing, unless it is known that nothing is, and checks the whole. */
static int fetch_and_check(struct transfer *t)
{
    bool whole = t->opt->digest && t->opt->size >= 0 && t->part.have == t->opt->size;
    int r = whole ? 0 : fetch(t);
    return r == 0 ? check(t) : r;
}

/* Old bytes may be of another file: then all is fetched anew, and the first complaint forgotten. */
static int fetch_twice(struct transfer *t)
{
    struct pn_err first = { 0 }, *err = t->err;
    t->err = &first;
    int r = fetch_and_check(t);
    bool again = (r == -PN_EFORMAT || r == -PN_ELIMIT) && t->part.old;
    t->err = err;
    if (!again)
        return r < 0 ? pn_fail(err, (enum pn_error)first.code, "%s", first.text) : r;
    note(&t->opt->watch, "what an earlier download left does not fit; starting over");
    r = pn_part_restart(&t->part, err);
    return r == 0 ? fetch_and_check(t) : r;
}

int pn_download(const struct pn_download_options *opt, struct pn_err *err)
{
    struct transfer *t = calloc(1, sizeof(*t));
    if (!t)
        return pn_fail(err, PN_ENOMEM, "no memory for a download");
    t->opt = opt;
    t->err = err;
    t->total = opt->size;
    int r = pn_part_open(&t->part, opt, err);
    if (r == 0) {
        r = fetch_twice(t);
        if (r == 0)
            r = pn_part_commit(&t->part, err);
        else if (r == -PN_EFORMAT || r == -PN_ELIMIT || t->part.have == 0)
            pn_part_discard(&t->part);
        pn_part_close(&t->part);
    }
    free(t);
    return r;
}

/* ---- small documents ---- */

struct document {
    struct pn_buf *out;
    const struct pn_watch *watch;
};

static size_t on_text(char *bytes, size_t size, size_t n, void *ctx)
{
    struct document *d = ctx;
    pn_buf_append(d->out, bytes, size * n);
    return d->out->failed ? 0 : size * n;
}

static int on_text_progress(void *ctx, curl_off_t d_total, curl_off_t d_now, curl_off_t u_total,
                            curl_off_t u_now)
{
    const struct document *d = ctx;
    return d->watch->progress && d->watch->progress(d->watch->ctx, 0, -1) != 0;
}

int pn_download_text(const char *url, int stall_s, const struct pn_watch *watch, struct pn_buf *out,
                     struct pn_err *err)
{
    struct document d = { out, watch };
    CURL *c = NULL;
    long status = 0;
    int r = pn_curl_new(url, stall_s, on_text_progress, &d, &c, err);
    if (r < 0)
        return r;
    CURLcode code = curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_text);
    code = code ? code : curl_easy_setopt(c, CURLOPT_WRITEDATA, &d);
    code = code ? code : curl_easy_perform(c);
    code = code ? code : curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    if (out->failed)
        r = pn_fail(err, PN_ELIMIT, "%.150s is too long", url);
    else if (code != CURLE_OK)
        r = pn_curl_failure(code, url, NULL, false, err);
    else
        r = pn_http_failure(status, url, err);
    if (r == -PN_EAGAIN)
        r = pn_fail(err, PN_ETIMEOUT, "%.150s cannot be read now", url);
    curl_easy_cleanup(c);
    return r;
}
