/* curl_start.h - libcurl made ready, once for the process. */
#ifndef PN_BASE_CURL_START_H
#define PN_BASE_CURL_START_H

#include <curl/curl.h>

/* A new handle, or NULL: no memory, or libcurl cannot run here. Any thread. */
CURL *pn_curl_start(void);

#endif
