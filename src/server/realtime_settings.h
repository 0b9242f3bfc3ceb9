/* realtime_settings.h - what a Realtime session may be told about itself (spec http-apis 5.1): the session
 * object, read from JSON in both dialects, merged part by part, and written. Pure; immutable once made. */
#ifndef PN_SERVER_REALTIME_SETTINGS_H
#define PN_SERVER_REALTIME_SETTINGS_H

#include "audio/intake.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/json_parse.h"

enum pn_rt_noise { PN_RT_NOISE_NONE, PN_RT_NOISE_NEAR, PN_RT_NOISE_FAR };
enum pn_rt_turns { PN_RT_TURNS_CLIENT, PN_RT_TURNS_SERVER, PN_RT_TURNS_SEMANTIC };
enum pn_rt_eagerness { PN_RT_AUTO, PN_RT_LOW, PN_RT_MEDIUM, PN_RT_HIGH };
/* How long text may be held back for the sake of being right. */
enum pn_rt_delay {
    PN_RT_DELAY_UNSET,
    PN_RT_DELAY_MINIMAL,
    PN_RT_DELAY_LOW,
    PN_RT_DELAY_MEDIUM,
    PN_RT_DELAY_HIGH,
    PN_RT_DELAY_XHIGH
};

struct pn_rt_turn_detection {
    enum pn_rt_turns how;
    double threshold; /* 0..1; below 0: was not given, the detector knows best */
    int prefix_padding_ms, silence_duration_ms;
    int idle_timeout_ms; /* 0: none */
    enum pn_rt_eagerness eagerness;
};

struct pn_rt_settings {
    struct pn_arena *arena; /* holds this struct, too */
    enum pn_intake_format format;
    int rate; /* Hz */
    enum pn_rt_noise noise;
    const char *model;    /* as the client named it; "" for the model of live audio */
    const char *language; /* ISO 639-1; "" to detect */
    const char *prompt;
    const char *const *languages; /* candidates, ISO 639-1 */
    const char *const *keywords;
    size_t n_languages, n_keywords;
    enum pn_rt_delay delay;
    struct pn_rt_turn_detection turns;
    bool logprobs;
};

#define PN_RT_RATE 24000 /* unless the client says otherwise */

/* 24 kHz PCM, server VAD. -PN_ENOMEM. */
PN_MUST_CHECK int pn_rt_settings_new(struct pn_rt_settings **ret);
struct pn_rt_settings *pn_rt_settings_free(struct pn_rt_settings *s); /* accepts NULL */
/* What `old` becomes when a client sends `session` (NULL: nothing): parts that are absent stay; unknown ones
 * are passed over. Both dialects' names are read. -PN_EINVAL with *ret_param, static, the part that is wrong;
 * -PN_ENOMEM. */
PN_MUST_CHECK int pn_rt_settings_merge(const struct pn_rt_settings *old, json_t *session,
                                       struct pn_rt_settings **ret, const char **ret_param,
                                       struct pn_err *err);
/* A copy with another model and language; an empty one stays as it was. */
PN_MUST_CHECK int pn_rt_settings_with(const struct pn_rt_settings *old, struct pn_str model,
                                      struct pn_str language, struct pn_rt_settings **ret,
                                      const char **ret_param, struct pn_err *err);

/* What is written of a session beside its settings. */
struct pn_rt_about {
    const char *id;         /* sess_... */
    int64_t expires_at;     /* Unix seconds */
    const char *live_model; /* what the model "" is */
    const char *secret;     /* NULL: none; older dialect */
    int64_t secret_expires_at;
};
/* The members of the session object; the braces are the caller's. */
void pn_rt_settings_write(struct pn_json *j, const struct pn_rt_settings *s, const struct pn_rt_about *about,
                          bool older);

/* Silence that ends a turn, in ms; of semantic detection, too. */
int pn_rt_silence_ms(const struct pn_rt_turn_detection *t);
/* Text is streamed as it is first heard, not when a sentence has settled. */
bool pn_rt_streams_early(const struct pn_rt_settings *s);
/* Bytes of a second of audio. */
int pn_rt_byte_rate(const struct pn_rt_settings *s);

#endif
