/* model_options.h - opening models for commands at a terminal. */
#ifndef PN_CLI_MODEL_OPTIONS_H
#define PN_CLI_MODEL_OPTIONS_H

#include "asr/models.h"
#include "base/config.h"

/* What the configuration says of models: everything but which ones. Warnings go to stderr, and how far the
 * packing of a model is, if that is a terminal. Strings are the configuration's. -PN_EINVAL (precision). */
PN_MUST_CHECK int pn_cli_models_options(const struct pn_config *c, struct pn_models_options *ret);

#endif
