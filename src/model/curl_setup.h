/* curl_setup.h - what all transfers have in common: protocols, redirects, time limits, and what libcurl's
 * results mean. Part of download.c. */
#ifndef PN_MODEL_CURL_SETUP_H
#define PN_MODEL_CURL_SETUP_H

#include "base/error.h"

#include <curl/curl.h>

/* A handle for GETting `url`; *ret is the caller's. Only http and https, at most ten redirects, none of them
 * from https to http; `watch_fn` is libcurl's progress callback with `ctx`. */
PN_MUST_CHECK int pn_curl_new(const char *url, int stall_s, curl_xferinfo_callback watch_fn, void *ctx,
                              CURL **ret, struct pn_err *err);
/* A result other than CURLE_OK, in our terms. -PN_EAGAIN (nothing is written to *err): the connection broke
 * and may be tried again. `answered`: the server has been heard before. */
PN_MUST_CHECK int pn_curl_failure(CURLcode code, const char *url, const char *text, int answered,
                                  struct pn_err *err);
/* The same for the status of an answer; 0 for 200, 206 and 416. */
PN_MUST_CHECK int pn_http_failure(long status, const char *url, struct pn_err *err);
/* "models.example" of "https://models.example:8443/x", for messages: no secrets that a URL may hold. */
void pn_url_host(const char *url, char host[64]);

#endif
