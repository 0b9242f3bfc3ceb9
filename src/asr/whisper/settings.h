/* settings.h - transcribe options checked against a model and turned into ids, counts and rules. */
#ifndef PN_ASR_WHISPER_SETTINGS_H
#define PN_ASR_WHISPER_SETTINGS_H

#include "asr/whisper/model.h"
#include "asr/whisper/window.h"
#include "base/arena.h"

struct pn_settings {
    struct pn_transcribe_options opt; /* pointers in it are not to be used: the fields below replace them */
    struct pn_window_rules rules;
    int32_t language;       /* token; -1: to be detected; .en models have none either way */
    const int32_t *initial; /* tokens of the initial prompt */
    int n_initial;
    const int32_t *prefix; /* what fits of it, as the reference cuts it */
    int n_prefix;
};

/* Memory is the arena's. -PN_EINVAL, -PN_EUNSUPPORTED with a text that names the option; -PN_ENOMEM. */
PN_MUST_CHECK int pn_settings_make(const struct pn_whisper *w, const struct pn_transcribe_options *opt,
                                   struct pn_arena *arena, struct pn_settings *ret, struct pn_err *err);

/* list[from .. n) of what Python calls list[-last:]: all for 0, and the first -last dropped if negative. */
int pn_slice_last(int n, int last);

#endif
