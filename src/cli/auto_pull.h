/* auto_pull.h - PINNA_AUTO_PULL: the default models are fetched before they are needed. */
#ifndef PN_CLI_AUTO_PULL_H
#define PN_CLI_AUTO_PULL_H

#include "base/config.h"

/* Fetches `model`, and `other` unless it is NULL, if the setting is on and the model has a name that can be
 * pulled and is not here. Blocks, with a progress line on stderr. A failure is told there; what then happens
 * is the caller's business. */
void pn_auto_pull(const struct pn_config *c, const char *model, const char *other);

#endif
