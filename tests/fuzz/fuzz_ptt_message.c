/* fuzz_ptt_message.c - hostile messages of push-to-talk clients: what is understood keeps its bounds. */
#include "server/ptt_message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_start(const struct pn_ptt_start *s)
{
    check(s->format == PN_INTAKE_S16LE || s->format == PN_INTAKE_F32LE || s->format == PN_INTAKE_OPUS);
    check(s->rate >= PN_INTAKE_MIN_RATE && s->rate <= PN_INTAKE_MAX_RATE);
    check(s->language && strlen(s->language) < 8 && s->model.len <= 256);
    check(!s->hotwords || strlen(s->hotwords) <= 8192);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_ptt_message m = { 0 };
    struct pn_err err = { 0 };
    int r = pn_ptt_message_parse((struct pn_str){ (const char *)data, size }, &m, &err);
    if (r < 0) {
        check(err.text[0] && !m.json);
        return 0;
    }
    check(m.timestamp >= -1);
    if (m.kind == PN_PTT_START)
        check_start(&m.start);
    else if (m.kind == PN_PTT_AUDIO)
        check(m.audio.ptr && m.audio.len <= PN_PTT_DATA_MAX);
    else
        check(!m.start.hotwords);
    pn_ptt_message_done(&m);
    return 0;
}
