/* curl_setup.c - see curl_setup.h. */
#include "model/curl_setup.h"

#include "base/curl_start.h"
#include "base/str.h"
#include "model/download.h"

#include <string.h>

enum { MAX_REDIRECTS = 10, SLOWEST_BYTES_PER_S = 64, RECEIVE_BYTES = 1 << 18 };

static bool is_https(const char *url)
{
    return strncmp(url, "https://", 8) == 0;
}

static CURLcode set_limits(CURL *c, const char *url, int stall_s)
{
    CURLcode r = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    r = r ? r : curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, is_https(url) ? "https" : "http,https");
    r = r ? r : curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    r = r ? r : curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    r = r ? r : curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)PN_CONNECT_TIMEOUT_S);
    r = r ? r : curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOWEST_BYTES_PER_S);
    r = r ? r : curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)stall_s);
    return r;
}

int pn_curl_new(const char *url, int stall_s, curl_xferinfo_callback watch_fn, void *ctx, CURL **ret,
                struct pn_err *err)
{
    CURL *c = pn_curl_start();
    if (!c)
        return pn_fail(err, PN_ENOMEM, "libcurl could not be started");
    CURLcode r = set_limits(c, url, stall_s);
    r = r ? r : curl_easy_setopt(c, CURLOPT_URL, url);
    r = r ? r : curl_easy_setopt(c, CURLOPT_USERAGENT, "pinna/" PINNA_VERSION);
    r = r ? r : curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    r = r ? r : curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    r = r ? r : curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    r = r ? r : curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, watch_fn);
    r = r ? r : curl_easy_setopt(c, CURLOPT_XFERINFODATA, ctx);
    if (r != CURLE_OK) {
        curl_easy_cleanup(c);
        return pn_fail(err, PN_EFORMAT, "%.120s: %s", url, curl_easy_strerror(r));
    }
    *ret = c;
    return 0;
}

void pn_url_host(const char *url, char host[64])
{
    const char *p = strstr(url, "://"), *at;
    struct pn_str s = pn_str(p ? p + 3 : url);
    s.len = strcspn(s.ptr, "/?#");
    if ((at = memrchr(s.ptr, '@', s.len)))
        s = (struct pn_str){ at + 1, s.len - (size_t)(at + 1 - s.ptr) };
    s.len = PN_MIN(s.len, (size_t)63);
    memcpy(host, s.ptr, s.len);
    host[s.len] = '\0';
}

int pn_curl_failure(CURLcode code, const char *url, const char *text, int answered, struct pn_err *err)
{
    char host[64];
    pn_url_host(url, host);
    const char *why = text && *text ? text : curl_easy_strerror(code);
    if (code == CURLE_OUT_OF_MEMORY)
        return pn_fail(err, PN_ENOMEM, "no memory for a download");
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return pn_fail(err, PN_ECANCELLED, "interrupted");
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
        code == CURLE_TOO_MANY_REDIRECTS || code == CURLE_PEER_FAILED_VERIFICATION)
        return pn_fail(err, PN_EFORMAT, "%s: %.150s", host, why);
    if (code == CURLE_FILESIZE_EXCEEDED)
        return pn_fail(err, PN_ELIMIT, "%s: the file is larger than it can be", host);
    if (answered || code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING ||
        code == CURLE_SEND_ERROR || code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM)
        return -PN_EAGAIN;
    return pn_fail(err, PN_ETIMEOUT, "cannot reach %s: %.150s", host, why);
}

int pn_http_failure(long status, const char *url, struct pn_err *err)
{
    char host[64];
    pn_url_host(url, host);
    const char *file = strrchr(url, '/');
    if (status == 200 || status == 206 || status == 416)
        return 0;
    if (status == 408 || status == 429 || status >= 500)
        return -PN_EAGAIN;
    if (status == 404 || status == 410 || status == 401 || status == 403)
        return pn_fail(err, PN_ENOTFOUND, "%s does not give out %.80s (HTTP %ld)", host,
                       file ? file + 1 : url, status);
    return pn_fail(err, PN_EFORMAT, "%s answered with HTTP %ld", host, status);
}
