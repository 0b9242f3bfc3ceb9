/* fuzz_realtime_message.c - what Realtime clients send: any text is taken or refused, and a session that was
 * changed by one, written and read again, is the same session, in both dialects. */
#include "base/base64.h"
#include "server/realtime_message.h"
#include "server/realtime_settings.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (4 << 20)

static void write_session(const struct pn_rt_settings *s, bool older, struct pn_buf *out)
{
    struct pn_rt_about about = { .id = "sess_1", .expires_at = 1, .live_model = "m" };
    struct pn_json j;
    pn_buf_init(out, TEXT_MAX);
    pn_json_init(&j, out);
    pn_json_begin_object(&j);
    pn_rt_settings_write(&j, s, &about, older);
    pn_json_end_object(&j);
}

/* The model "" is written by its name; from then on it has that name. The older dialect says no rate. */
static void read_again(const struct pn_rt_settings *base, const struct pn_rt_settings *s, bool older)
{
    struct pn_buf first, second;
    struct pn_rt_settings *again;
    const char *param;
    struct pn_err err = { 0 };
    json_t *j;
    write_session(s, older, &first);
    struct pn_json_limits limits = { .depth = 16, .values = 4096 };
    if (first.failed < 0 ||
        pn_json_object((struct pn_str){ first.ptr, first.len }, limits, "again", 0, &j, &err) < 0)
        abort();
    if (pn_rt_settings_merge(base, j, &again, &param, &err) < 0)
        abort();
    write_session(again, older, &second);
    if (first.len != second.len || memcmp(first.ptr, second.ptr, first.len) != 0)
        abort();
    pn_rt_settings_free(again);
    json_decref(j);
    pn_buf_done(&first);
    pn_buf_done(&second);
}

static void merge(json_t *session)
{
    struct pn_rt_settings *old, *new;
    const char *param = NULL;
    struct pn_err err = { 0 };
    if (pn_rt_settings_new(&old) < 0)
        return;
    int r = pn_rt_settings_merge(old, session, &new, &param, &err);
    if (r == -PN_EINVAL && (!param || !err.text[0]))
        abort();
    if (r == 0) {
        read_again(old, new, false);
        read_again(old, new, true);
        pn_rt_settings_free(new);
    }
    pn_rt_settings_free(old);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_rt_message m;
    struct pn_rt_refusal why;
    char *exact = malloc(size + 1);
    memcpy(exact, data, size);
    if (pn_rt_message_parse((struct pn_str){ exact, size }, &m, &why) < 0) {
        if (!why.err.text[0])
            abort();
    } else if (m.kind == PN_RT_UPDATE) {
        merge(m.session);
    } else if (m.kind == PN_RT_APPEND) {
        unsigned char *audio = malloc(pn_base64_room(m.audio.len));
        size_t n;
        (void)!pn_base64_decode(m.audio, audio, &n);
        free(audio);
    }
    pn_rt_message_done(&m);
    free(exact);
    return 0;
}
