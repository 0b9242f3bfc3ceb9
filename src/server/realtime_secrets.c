/* realtime_secrets.c - see realtime_secrets.h. */
#include "server/realtime_secrets.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define DIGEST_SIZE 32

struct secret {
    unsigned char digest[DIGEST_SIZE];
    int64_t expires_ms;              /* Unix time */
    struct pn_rt_settings *settings; /* owned; NULL: the place is free */
};

struct pn_rt_secrets {
    struct secret all[PN_RT_SECRETS_MAX];
};

int pn_rt_secrets_new(struct pn_rt_secrets **ret)
{
    *ret = calloc(1, sizeof(**ret));
    return *ret ? 0 : -PN_ENOMEM;
}

struct pn_rt_secrets *pn_rt_secrets_free(struct pn_rt_secrets *s)
{
    for (size_t i = 0; s && i < PN_RT_SECRETS_MAX; i++)
        pn_rt_settings_free(s->all[i].settings);
    free(s);
    return NULL;
}

static bool digest_of(struct pn_str key, unsigned char out[EVP_MAX_MD_SIZE])
{
    return EVP_Digest(key.ptr, key.len, out, NULL, EVP_sha256(), NULL) == 1;
}

/* A free place, else that of the one that expires first. */
static struct secret *place(struct pn_rt_secrets *s)
{
    struct secret *best = &s->all[0];
    for (size_t i = 0; i < PN_RT_SECRETS_MAX; i++) {
        if (!s->all[i].settings)
            return &s->all[i];
        if (s->all[i].expires_ms < best->expires_ms)
            best = &s->all[i];
    }
    return best;
}

int pn_rt_secrets_add(struct pn_rt_secrets *s, struct pn_rt_settings *settings, int64_t expires_ms,
                      char ret_key[PN_RT_SECRET_SIZE])
{
    uint64_t random[2];
    unsigned char digest[EVP_MAX_MD_SIZE];
    char key[PN_RT_SECRET_SIZE];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return -PN_EIO;
    snprintf(key, sizeof(key), "ek_%016llx%016llx", (unsigned long long)random[0],
             (unsigned long long)random[1]);
    if (!digest_of(pn_str(key), digest))
        return -PN_EIO;
    struct secret *p = place(s);
    pn_rt_settings_free(p->settings);
    *p = (struct secret){ .expires_ms = expires_ms, .settings = settings };
    memcpy(p->digest, digest, DIGEST_SIZE);
    memcpy(ret_key, key, sizeof(key));
    return 0;
}

const struct pn_rt_settings *pn_rt_secrets_find(struct pn_rt_secrets *s, struct pn_str key, int64_t now_ms)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (!s || !digest_of(key, digest))
        return NULL;
    for (size_t i = 0; i < PN_RT_SECRETS_MAX; i++) {
        const struct secret *p = &s->all[i];
        if (p->settings && p->expires_ms > now_ms && memcmp(p->digest, digest, DIGEST_SIZE) == 0)
            return p->settings;
    }
    return NULL;
}

bool pn_rt_secrets_own(struct pn_str key)
{
    return key.len >= 3 && memcmp(key.ptr, "ek_", 3) == 0;
}
