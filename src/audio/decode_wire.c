/* decode_wire.c - see decode_wire.h.
 *
 * Pure functions over bytes; run by the server's job threads (reader) and by decode children (writer).
 * Invariant: a message is given out only when its whole payload is there and was checked; r->len never
 * exceeds PN_WIRE_HEAD + r->length, and r->length never exceeds the payload's room. */
#include "audio/decode_wire.h"

#include <math.h>
#include <string.h>

enum { AWAIT_READY, AWAIT_INFO, AWAIT_PCM, ENDED, BROKEN };

/* INFO's payload: offsets of its fields. */
enum {
    INFO_DURATION = 0,
    INFO_RATE = 8,
    INFO_CHANNELS = 12,
    INFO_FORMAT = 16,
    INFO_CODEC = 48,
    INFO_LEN = 80
};

/* What a source may claim; beyond it is nonsense. */
static const double MAX_DURATION_S = 1e9;
static const int32_t MAX_RATE = 10000000, MAX_CHANNELS = 65535;

static uint32_t get_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static void put_head(uint8_t *out, enum pn_wire_type type, uint32_t length)
{
    uint32_t head[2] = { (uint32_t)type, length };
    memcpy(out, head, sizeof(head));
}

void pn_wire_reader_init(struct pn_wire_reader *r)
{
    r->state = AWAIT_READY;
    r->total = 0;
    r->len = 0;
    r->type = r->length = 0;
}

bool pn_wire_ended(const struct pn_wire_reader *r)
{
    return r->state == ENDED;
}

/* The types that may come in a state. */
static bool in_order(int state, uint32_t type)
{
    switch (state) {
    case AWAIT_READY:
        return type == PN_WIRE_READY || type == PN_WIRE_ERROR;
    case AWAIT_INFO:
        return type == PN_WIRE_INFO || type == PN_WIRE_ERROR;
    case AWAIT_PCM:
        return type == PN_WIRE_PCM || type == PN_WIRE_END || type == PN_WIRE_ERROR;
    default:
        return false;
    }
}

static bool length_fits(uint32_t type, uint32_t length)
{
    switch ((enum pn_wire_type)type) {
    case PN_WIRE_READY:
    case PN_WIRE_END:
        return length == 8;
    case PN_WIRE_INFO:
        return length == INFO_LEN;
    case PN_WIRE_PCM:
        return length > 0 && length <= PN_WIRE_PCM_MAX * sizeof(float) && length % sizeof(float) == 0;
    case PN_WIRE_ERROR:
        return length > 4 && length <= 4 + PN_WIRE_TEXT_MAX;
    }
    return false;
}

static int take_head(struct pn_wire_reader *r, struct pn_err *err)
{
    r->type = get_u32(r->head);
    r->length = get_u32(r->head + 4);
    if (!in_order(r->state, r->type))
        return pn_fail(err, PN_EFORMAT, "decoder pipe: message type %u is not due", r->type);
    if (!length_fits(r->type, r->length))
        return pn_fail(err, PN_EFORMAT, "decoder pipe: message type %u of %u bytes", r->type, r->length);
    return 0;
}

static int take_ready(struct pn_wire_reader *r, struct pn_wire_message *m, struct pn_err *err)
{
    uint32_t seccomp = get_u32(r->payload.bytes), abi = get_u32(r->payload.bytes + 4);
    if (seccomp > 1 || abi > 1000)
        return pn_fail(err, PN_EFORMAT, "decoder pipe: impossible sandbox report");
    m->ready = (struct pn_sandbox_report){ .seccomp = seccomp == 1, .landlock_abi = (int)abi };
    r->state = AWAIT_INFO;
    return 1;
}

/* A field of 32 bytes: printable ASCII, then at least one NUL to the end. */
static bool name_ok(const uint8_t *p)
{
    size_t len = strnlen((const char *)p, 32);
    for (size_t i = 0; i < 32; i++)
        if (i < len ? p[i] < 0x20 || p[i] > 0x7e : p[i] != 0)
            return false;
    return len < 32;
}

static int take_info(struct pn_wire_reader *r, struct pn_wire_message *m, struct pn_err *err)
{
    const uint8_t *p = r->payload.bytes;
    struct pn_decoder_info info;
    memcpy(&info.duration_s, p + INFO_DURATION, sizeof(double));
    int32_t rate, channels;
    memcpy(&rate, p + INFO_RATE, sizeof(rate));
    memcpy(&channels, p + INFO_CHANNELS, sizeof(channels));
    bool known = info.duration_s >= 0 && info.duration_s <= MAX_DURATION_S; /* false for NaN */
    if ((!known && info.duration_s != -1.0) || rate < 0 || rate > MAX_RATE || channels < 0 ||
        channels > MAX_CHANNELS || !name_ok(p + INFO_FORMAT) || !name_ok(p + INFO_CODEC))
        return pn_fail(err, PN_EFORMAT, "decoder pipe: impossible description of the file");
    info.rate = rate;
    info.channels = channels;
    memcpy(info.format, p + INFO_FORMAT, sizeof(info.format));
    memcpy(info.codec, p + INFO_CODEC, sizeof(info.codec));
    m->info = info;
    r->state = AWAIT_PCM;
    return 1;
}

static int take_pcm(struct pn_wire_reader *r, struct pn_wire_message *m, struct pn_err *err)
{
    size_t n = r->length / sizeof(float);
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok &= r->payload.pcm[i] >= -1.0f && r->payload.pcm[i] <= 1.0f; /* false for NaN */
    if (!ok)
        return pn_fail(err, PN_EFORMAT, "decoder pipe: a sample is not in [-1,1]");
    r->total += n; /* cannot wrap: 2^64 samples do not come through a pipe */
    m->pcm = r->payload.pcm;
    m->n = n;
    return 1;
}

static int take_end(struct pn_wire_reader *r, struct pn_err *err)
{
    uint64_t total;
    memcpy(&total, r->payload.bytes, sizeof(total));
    if (total != r->total)
        return pn_fail(err, PN_EFORMAT, "decoder pipe: %llu samples announced, %llu came",
                       (unsigned long long)total, (unsigned long long)r->total);
    r->state = ENDED;
    return 1;
}

/* Bytes that the UTF-8 character at p takes; 0 when it is none (overlong, surrogate, cut, control). */
static size_t utf8_char(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7f;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
               (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ||
               (p[0] == 0xc2 && p[1] < 0xa0);
    return bad ? 0 : n;
}

static bool text_ok(const uint8_t *p, size_t len)
{
    for (size_t i = 0, n; i < len; i += n)
        if ((n = utf8_char(p + i, len - i)) == 0)
            return false;
    return true;
}

static int take_error(struct pn_wire_reader *r, struct pn_wire_message *m, struct pn_err *err)
{
    uint32_t code = get_u32(r->payload.bytes);
    size_t len = r->length - 4;
    bool known = code == PN_EFORMAT || code == PN_ELIMIT || code == PN_EIO;
    if (!known || !text_ok(r->payload.bytes + 4, len))
        return pn_fail(err, PN_EFORMAT, "decoder pipe: impossible error message");
    m->error.code = (int)code;
    memcpy(m->error.text, r->payload.bytes + 4, len);
    m->error.text[len] = '\0';
    r->state = ENDED;
    return 1;
}

static int take_message(struct pn_wire_reader *r, struct pn_wire_message *m, struct pn_err *err)
{
    m->type = (enum pn_wire_type)r->type;
    switch (m->type) {
    case PN_WIRE_READY:
        return take_ready(r, m, err);
    case PN_WIRE_INFO:
        return take_info(r, m, err);
    case PN_WIRE_PCM:
        return take_pcm(r, m, err);
    case PN_WIRE_END:
        return take_end(r, err);
    case PN_WIRE_ERROR:
        return take_error(r, m, err);
    }
    return pn_fail(err, PN_EFORMAT, "decoder pipe: message type %u", r->type);
}

/* Moves up to `want` bytes from *in to `to`; true when that were all. */
static bool fill(struct pn_wire_reader *r, uint8_t *to, size_t want, struct pn_str *in)
{
    size_t n = PN_MIN(want, in->len);
    if (n > 0) { /* in->ptr may be NULL otherwise */
        memcpy(to, in->ptr, n);
        in->ptr += n;
        in->len -= n;
    }
    r->len += n;
    return n == want;
}

static int read_one(struct pn_wire_reader *r, struct pn_str *in, struct pn_wire_message *ret,
                    struct pn_err *err)
{
    if (r->state == BROKEN || (r->state == ENDED && in->len > 0))
        return pn_fail(err, PN_EFORMAT, "decoder pipe: bytes after the end");
    if (r->len < PN_WIRE_HEAD) {
        if (in->len == 0 || !fill(r, r->head + r->len, PN_WIRE_HEAD - r->len, in))
            return 0;
        if (take_head(r, err) < 0)
            return -PN_EFORMAT;
    }
    size_t have = r->len - PN_WIRE_HEAD;
    if (!fill(r, r->payload.bytes + have, r->length - have, in))
        return 0;
    r->len = 0;
    return take_message(r, ret, err);
}

int pn_wire_read(struct pn_wire_reader *r, struct pn_str *in, struct pn_wire_message *ret, struct pn_err *err)
{
    int rc = read_one(r, in, ret, err);
    if (rc < 0)
        r->state = BROKEN;
    return rc;
}

size_t pn_wire_put_ready(uint8_t out[PN_WIRE_SMALL], const struct pn_sandbox_report *report)
{
    uint32_t payload[2] = { report->seccomp, (uint32_t)report->landlock_abi };
    put_head(out, PN_WIRE_READY, sizeof(payload));
    memcpy(out + PN_WIRE_HEAD, payload, sizeof(payload));
    return PN_WIRE_HEAD + sizeof(payload);
}

/* Copies a name into its zeroed field; what the reader would refuse becomes '?'. */
static void put_name(uint8_t *field, const char *name)
{
    size_t len = strnlen(name, 31);
    for (size_t i = 0; i < len; i++)
        field[i] = name[i] < 0x20 || name[i] > 0x7e ? '?' : (uint8_t)name[i];
}

size_t pn_wire_put_info(uint8_t out[PN_WIRE_SMALL], const struct pn_decoder_info *info)
{
    memset(out, 0, PN_WIRE_HEAD + INFO_LEN);
    put_head(out, PN_WIRE_INFO, INFO_LEN);
    uint8_t *p = out + PN_WIRE_HEAD;
    bool known = info->duration_s >= 0 && info->duration_s <= MAX_DURATION_S;
    double duration = known ? info->duration_s : -1.0;
    int32_t rate = PN_MIN(PN_MAX(info->rate, 0), MAX_RATE);
    int32_t channels = PN_MIN(PN_MAX(info->channels, 0), MAX_CHANNELS);
    memcpy(p + INFO_DURATION, &duration, sizeof(duration));
    memcpy(p + INFO_RATE, &rate, sizeof(rate));
    memcpy(p + INFO_CHANNELS, &channels, sizeof(channels));
    put_name(p + INFO_FORMAT, info->format);
    put_name(p + INFO_CODEC, info->codec);
    return PN_WIRE_HEAD + INFO_LEN;
}

size_t pn_wire_put_end(uint8_t out[PN_WIRE_SMALL], uint64_t total)
{
    put_head(out, PN_WIRE_END, sizeof(total));
    memcpy(out + PN_WIRE_HEAD, &total, sizeof(total));
    return PN_WIRE_HEAD + sizeof(total);
}

size_t pn_wire_put_error(uint8_t out[PN_WIRE_SMALL], int code, const char *text)
{
    uint32_t wire_code = (uint32_t)(code < 0 ? -code : code);
    size_t len = strnlen(text, PN_WIRE_TEXT_MAX);
    put_head(out, PN_WIRE_ERROR, (uint32_t)(4 + PN_MAX(len, 1)));
    memcpy(out + PN_WIRE_HEAD, &wire_code, sizeof(wire_code));
    uint8_t *p = out + PN_WIRE_HEAD + 4;
    p[0] = '?';
    for (size_t i = 0; i < len; i++)
        p[i] = text[i] < 0x20 || text[i] > 0x7e ? '?' : (uint8_t)text[i];
    return PN_WIRE_HEAD + 4 + PN_MAX(len, 1);
}

void pn_wire_put_pcm_head(uint8_t out[PN_WIRE_HEAD], size_t n)
{
    put_head(out, PN_WIRE_PCM, (uint32_t)(n * sizeof(float)));
}
