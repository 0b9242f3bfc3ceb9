/* listen_no_microphone.c - in a build without ALSA; see listen_source.h. */
#include "cli/listen_source.h"

int pn_sound_open_microphone(const char *device, struct pn_sound **ret, struct pn_err *err)
{
    (void)device, (void)ret;
    return pn_fail(err, PN_EUNSUPPORTED,
                   "this build knows no microphones (it was made without ALSA); --file - listens to a pipe");
}

int pn_sound_list_devices(struct pn_err *err)
{
    return pn_fail(err, PN_EUNSUPPORTED, "this build knows no microphones (it was made without ALSA)");
}
