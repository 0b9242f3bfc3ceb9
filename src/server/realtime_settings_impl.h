/* realtime_settings_impl.h - the words of the session object, for those who read and write it. */
#ifndef PN_SERVER_REALTIME_SETTINGS_IMPL_H
#define PN_SERVER_REALTIME_SETTINGS_IMPL_H

#include "server/realtime_settings.h"

extern const char *const pn_rt_formats[6];     /* PCM, mu-law, A-law; then the older dialect's names */
extern const char *const pn_rt_delays[6];      /* by enum pn_rt_delay */
extern const char *const pn_rt_detections[3];  /* by enum pn_rt_turns */
extern const char *const pn_rt_eagernesses[4]; /* by enum pn_rt_eagerness */

int pn_rt_format_index(enum pn_intake_format format); /* in the first three of pn_rt_formats */

#endif
