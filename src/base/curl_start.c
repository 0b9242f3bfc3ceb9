/* curl_start.c - see curl_start.h. */
#include "base/curl_start.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global_init = CURLE_FAILED_INIT;

static void init_curl(void)
{
    global_init = curl_global_init(CURL_GLOBAL_DEFAULT);
}

CURL *pn_curl_start(void)
{
    pthread_once(&once, init_curl);
    return global_init == CURLE_OK ? curl_easy_init() : NULL;
}
