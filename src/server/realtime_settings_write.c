/* realtime_settings_write.c - a session's settings as JSON, as each dialect has them. */
#include "server/realtime_settings_impl.h"

static void put_list(struct pn_json *j, const char *key, const char *const *list, size_t n)
{
    pn_json_key(j, key);
    pn_json_begin_array(j);
    for (size_t i = 0; i < n; i++)
        pn_json_cstr(j, list[i]);
    pn_json_end_array(j);
}

static void write_format(struct pn_json *j, const struct pn_rt_settings *s, bool older)
{
    int which = pn_rt_format_index(s->format);
    if (older) {
        pn_json_put_cstr(j, "input_audio_format", pn_rt_formats[which + 3]);
        return;
    }
    pn_json_key(j, "format");
    pn_json_begin_object(j);
    pn_json_put_cstr(j, "type", pn_rt_formats[which]);
    if (which == 0)
        pn_json_put_i64(j, "rate", s->rate);
    pn_json_end_object(j);
}

static void write_noise(struct pn_json *j, const struct pn_rt_settings *s, const char *key)
{
    pn_json_key(j, key);
    if (s->noise == PN_RT_NOISE_NONE) {
        pn_json_null(j);
        return;
    }
    pn_json_begin_object(j);
    pn_json_put_cstr(j, "type", s->noise == PN_RT_NOISE_NEAR ? "near_field" : "far_field");
    pn_json_end_object(j);
}

static void write_transcription(struct pn_json *j, const struct pn_rt_settings *s, const char *live_model,
                                const char *key)
{
    pn_json_key(j, key);
    pn_json_begin_object(j);
    pn_json_put_cstr(j, "model", *s->model ? s->model : live_model);
    pn_json_put_cstr(j, "language", *s->language ? s->language : NULL);
    pn_json_put_cstr(j, "prompt", s->prompt);
    if (s->n_languages)
        put_list(j, "languages", s->languages, s->n_languages);
    if (s->n_keywords)
        put_list(j, "keywords", s->keywords, s->n_keywords);
    if (s->delay != PN_RT_DELAY_UNSET)
        pn_json_put_cstr(j, "delay", pn_rt_delays[s->delay]);
    pn_json_end_object(j);
}

static void write_turns(struct pn_json *j, const struct pn_rt_turn_detection *t)
{
    pn_json_key(j, "turn_detection");
    if (t->how == PN_RT_TURNS_CLIENT) {
        pn_json_null(j);
        return;
    }
    pn_json_begin_object(j);
    pn_json_put_cstr(j, "type", pn_rt_detections[t->how]);
    if (t->how == PN_RT_TURNS_SEMANTIC) {
        pn_json_put_cstr(j, "eagerness", pn_rt_eagernesses[t->eagerness]);
    } else {
        pn_json_key(j, "threshold");
        pn_json_f64(j, t->threshold < 0 ? 0.5 : t->threshold);
        pn_json_put_i64(j, "prefix_padding_ms", t->prefix_padding_ms);
        pn_json_put_i64(j, "silence_duration_ms", t->silence_duration_ms);
        pn_json_key(j, "idle_timeout_ms");
        if (t->idle_timeout_ms)
            pn_json_i64(j, t->idle_timeout_ms);
        else
            pn_json_null(j);
    }
    pn_json_end_object(j);
}

static void write_head(struct pn_json *j, const struct pn_rt_settings *s, const struct pn_rt_about *about)
{
    static const char *const include[] = { "item.input_audio_transcription.logprobs" };
    pn_json_put_cstr(j, "object", "realtime.transcription_session");
    pn_json_put_cstr(j, "id", about->id);
    pn_json_put_i64(j, "expires_at", about->expires_at);
    put_list(j, "include", include, s->logprobs);
}

static void write_older(struct pn_json *j, const struct pn_rt_settings *s, const struct pn_rt_about *about)
{
    static const char *const modalities[] = { "audio", "text" };
    write_head(j, s, about);
    put_list(j, "modalities", modalities, 2);
    write_format(j, s, true);
    write_noise(j, s, "input_audio_noise_reduction");
    write_transcription(j, s, about->live_model, "input_audio_transcription");
    write_turns(j, &s->turns);
    if (!about->secret)
        return;
    pn_json_key(j, "client_secret");
    pn_json_begin_object(j);
    pn_json_put_cstr(j, "value", about->secret);
    pn_json_put_i64(j, "expires_at", about->secret_expires_at);
    pn_json_end_object(j);
}

void pn_rt_settings_write(struct pn_json *j, const struct pn_rt_settings *s, const struct pn_rt_about *about,
                          bool older)
{
    if (older) {
        write_older(j, s, about);
        return;
    }
    pn_json_put_cstr(j, "type", "transcription");
    write_head(j, s, about);
    pn_json_key(j, "audio");
    pn_json_begin_object(j);
    pn_json_key(j, "input");
    pn_json_begin_object(j);
    write_format(j, s, false);
    write_noise(j, s, "noise_reduction");
    write_transcription(j, s, about->live_model, "transcription");
    write_turns(j, &s->turns);
    pn_json_end_object(j);
    pn_json_end_object(j);
}
