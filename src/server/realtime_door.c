/* realtime_door.c - see realtime_door.h. Browsers cannot set headers, so the key and the dialect may come as
 * subprotocols. */
#include "server/realtime_door.h"

#include "base/clock.h"
#include "server/realtime_secrets.h"
#include "server/state.h"

#include <string.h>

#define KEY_PROTOCOL   "openai-insecure-api-key."
#define OLDER_PROTOCOL "openai-beta.realtime-v1"

static bool begins(struct pn_str s, const char *with)
{
    size_t n = strlen(with);
    return s.len >= n && pn_str_ieq((struct pn_str){ s.ptr, n }, pn_str(with));
}

/* The first of a comma-separated list's members that begins so; empty if there is none. */
static struct pn_str member(struct pn_str list, const char *with)
{
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t n = comma ? (size_t)(comma - list.ptr) : list.len;
        struct pn_str m = pn_str_trim((struct pn_str){ list.ptr, n });
        if (begins(m, with))
            return m;
        n += comma != NULL;
        list = (struct pn_str){ list.ptr + n, list.len - n };
    }
    return (struct pn_str){ 0 };
}

static struct pn_str key_of(struct pn_request *req)
{
    struct pn_str header = pn_request_header(req, "Authorization");
    if (begins(header, "Bearer "))
        return pn_str_trim((struct pn_str){ header.ptr + 7, header.len - 7 });
    struct pn_str p = member(pn_request_header(req, "Sec-WebSocket-Protocol"), KEY_PROTOCOL);
    size_t n = strlen(KEY_PROTOCOL);
    return p.len ? (struct pn_str){ p.ptr + n, p.len - n } : p;
}

/* NULL: it has no key of ours, or that is not good any more. */
static const struct pn_rt_settings *settings_of_key(struct pn_request *req)
{
    struct pn_str key = key_of(req);
    return pn_rt_secrets_own(key) ? pn_rt_secrets_find(req->server->realtime_secrets, key, pn_wall_ms())
                                  : NULL;
}

struct pn_reply *pn_rt_door_check(struct pn_request *req)
{
    if (!pn_rt_secrets_own(key_of(req)) || settings_of_key(req))
        return NULL;
    return pn_reply_error(401, NULL, "invalid_api_key", "the client secret has expired or never existed");
}

bool pn_rt_door_older(struct pn_request *req)
{
    return member(pn_request_header(req, "OpenAI-Beta"), "realtime=v1").len > 0 ||
           member(pn_request_header(req, "Sec-WebSocket-Protocol"), OLDER_PROTOCOL).len > 0;
}

int pn_rt_door_settings(struct pn_request *req, struct pn_rt_settings **ret, const char **ret_param,
                        struct pn_err *err)
{
    const struct pn_rt_settings *base = settings_of_key(req);
    struct pn_rt_settings *fresh = NULL;
    if (!base && pn_rt_settings_new(&fresh) < 0)
        return pn_fail(err, PN_ENOMEM, "no memory for the session");
    /* What a key was made for is not for its bearer to change before the session has begun. */
    struct pn_str model = base && *base->model ? (struct pn_str){ 0 } : pn_request_query(req, "model");
    struct pn_str language =
        base && *base->language ? (struct pn_str){ 0 } : pn_request_query(req, "language");
    int r = pn_rt_settings_with(base ? base : fresh, pn_str_trim(model), pn_str_trim(language), ret,
                                ret_param, err);
    pn_rt_settings_free(fresh);
    return r;
}
