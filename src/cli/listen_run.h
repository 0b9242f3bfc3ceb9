/* listen_run.h - the loop of `pinna listen`: audio from a source into an ear, its text onto the screen. */
#ifndef PN_CLI_LISTEN_RUN_H
#define PN_CLI_LISTEN_RUN_H

#include "cli/listen_ear.h"
#include "cli/listen_screen.h"
#include "cli/listen_source.h"

/* All borrowed. Until the source ends, or `signal_fd` (which is not read) tells of a signal: then the last
 * words are waited for. 0 when they are there; -PN_ECANCELLED: a second signal came; else as the parts. */
PN_MUST_CHECK int pn_listen_run(struct pn_sound *sound, struct pn_ear *ear, struct pn_screen *screen,
                                int signal_fd, struct pn_err *err);

#endif
