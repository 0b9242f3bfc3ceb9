/* route.h - which code answers which path. One table (route.c). */
#ifndef PN_SERVER_ROUTE_H
#define PN_SERVER_ROUTE_H

#include "server/request.h"

/* The route for a method and path on the listener of this kind; NULL, and *ret_refusal is set: 404, or 405
 * with Allow, or the answer to OPTIONS. On FunASR's port one route answers everything. */
const struct pn_route *pn_route_find(enum pn_listener_kind kind, const char *method, const char *path,
                                     struct pn_reply **ret_refusal);

/* routes_status.c */
void pn_handle_root(struct pn_request *req);
void pn_handle_health(struct pn_request *req);
void pn_handle_ready(struct pn_request *req);
void pn_handle_stats(struct pn_request *req);
void pn_handle_metrics(struct pn_request *req);
/* routes_models.c: both a list and one model */
void pn_handle_models(struct pn_request *req);
/* routes_transcribe.c */
void pn_transcribe_begin(struct pn_request *req);
void pn_transcribe_body(struct pn_request *req, const char *data, size_t n);
void pn_transcribe_handle(struct pn_request *req);
void pn_transcribe_done(struct pn_request *req);

extern const struct pn_ws_protocol pn_ws_ptt;    /* ptt.c */
extern const struct pn_ws_protocol pn_ws_funasr; /* funasr.c */
/* realtime.c, routes_realtime.c */
extern const struct pn_ws_protocol pn_realtime;
void pn_realtime_keys_begin(struct pn_request *req);
void pn_realtime_keys_body(struct pn_request *req, const char *data, size_t n);
void pn_realtime_client_secrets(struct pn_request *req);
void pn_realtime_transcription_sessions(struct pn_request *req);

#if PN_TEST_ROUTES
extern const struct pn_ws_protocol pn_ws_echo; /* ws_echo.c */
#endif

#endif
