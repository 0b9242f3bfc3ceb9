/* fuzz_funasr_message.c - hostile text messages of FunASR's protocol: settings stay within their limits, and
 * as they were when a message is refused. The input is several messages, a byte 0 between them. */
#include "server/funasr_message.h"

#include "audio/intake.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_settings(const struct pn_funasr_settings *s)
{
    const struct pn_chunking *c = &s->chunking;
    check(s->mode <= PN_FUNASR_TWO_PASS && (!s->file || s->mode == PN_FUNASR_OFFLINE));
    check(s->rate >= PN_INTAKE_MIN_RATE && s->rate <= PN_INTAKE_MAX_RATE);
    check(c->step >= 1 && c->step <= 100 && c->left >= 0 && c->left <= 100 && c->ahead >= 0 &&
          c->ahead <= 100);
    check(c->encoder_look_back >= -1 && c->decoder_look_back >= -1);
    check(strlen(pn_funasr_wav_name(s)) <= PN_FUNASR_NAME_MAX);
    check(!s->hotwords || strlen(s->hotwords) <= PN_FUNASR_HOTWORDS_MAX);
}

static void read_one(struct pn_str text, struct pn_funasr_settings *s)
{
    const struct pn_funasr_settings before = *s;
    struct pn_funasr_message m = { .known = true };
    struct pn_err err = { 0 };
    int r = pn_funasr_message_read(text, s, &m, &err);
    check(r == 0 || err.text[0]);
    check(r == 0 || memcmp(&before, s, sizeof(before)) == 0);
    check(r == 0 || !m.end);
    check_settings(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_funasr_settings s;
    struct pn_str rest = { (const char *)data, size };
    pn_funasr_settings_init(&s);
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, 0, rest.len);
        size_t n = end ? (size_t)(end - rest.ptr) : rest.len;
        read_one((struct pn_str){ rest.ptr, n }, &s);
        n += end != NULL;
        rest = (struct pn_str){ rest.ptr + n, rest.len - n };
    }
    pn_funasr_settings_done(&s);
    return 0;
}
