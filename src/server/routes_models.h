/* routes_models.h - the life of what routes_models.c keeps. Loop thread only. */
#ifndef PN_SERVER_ROUTES_MODELS_H
#define PN_SERVER_ROUTES_MODELS_H

struct pn_model_listing; /* made when somebody asks first */

void pn_model_listing_stop(struct pn_model_listing *l); /* waits for its thread; accepts NULL */
/* After the loop, which may hold its last message. Accepts NULL, returns NULL. */
struct pn_model_listing *pn_model_listing_free(struct pn_model_listing *l);

#endif
