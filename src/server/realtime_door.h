/* realtime_door.h - what the handshake of a Realtime session says: who comes, in which dialect, with which
 * settings. Loop thread only. */
#ifndef PN_SERVER_REALTIME_DOOR_H
#define PN_SERVER_REALTIME_DOOR_H

#include "server/realtime_settings.h"
#include "server/request.h"

/* NULL: come in; else the refusal. */
struct pn_reply *pn_rt_door_check(struct pn_request *req);
bool pn_rt_door_older(struct pn_request *req); /* the older dialect */
/* Settings of the key that it came with, with model and language of the query. As pn_rt_settings_with(). */
PN_MUST_CHECK int pn_rt_door_settings(struct pn_request *req, struct pn_rt_settings **ret,
                                      const char **ret_param, struct pn_err *err);

#endif
