/* realtime_secrets.h - client secrets: keys that open Realtime sessions for a while, with settings that come
 * with them (spec http-apis 5.4). Loop thread only.
 *
 * Only digests of the keys are kept. Of too many the one that expires first makes room. */
#ifndef PN_SERVER_REALTIME_SECRETS_H
#define PN_SERVER_REALTIME_SECRETS_H

#include "server/realtime_settings.h"

struct pn_rt_secrets;

#define PN_RT_SECRETS_MAX  512
#define PN_RT_SECRET_SIZE  40  /* "ek_" and 32 hexadecimal digits */
#define PN_RT_SECRET_S     600 /* how long one is good for, unless asked otherwise */
#define PN_RT_SECRET_MIN_S 10
#define PN_RT_SECRET_MAX_S 7200

PN_MUST_CHECK int pn_rt_secrets_new(struct pn_rt_secrets **ret);
struct pn_rt_secrets *pn_rt_secrets_free(struct pn_rt_secrets *s); /* accepts NULL */
/* Takes `settings` when it succeeds. -PN_EIO: no randomness. */
PN_MUST_CHECK int pn_rt_secrets_add(struct pn_rt_secrets *s, struct pn_rt_settings *settings,
                                    int64_t expires_ms, char ret_key[PN_RT_SECRET_SIZE]);
/* Settings of a key that is still good; NULL: there is none. Borrowed until the next add. `s` may be NULL. */
const struct pn_rt_settings *pn_rt_secrets_find(struct pn_rt_secrets *s, struct pn_str key, int64_t now_ms);
/* The key is of the kind that is kept here. */
bool pn_rt_secrets_own(struct pn_str key);

#endif
