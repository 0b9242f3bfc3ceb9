/* ws_frames.c - see ws_frames.h. */
#include "server/ws_frames.h"

#include "base/attr.h"
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#define SECOND_US  1000000
#define HEAD_MAX   14 /* of a frame, RFC 6455 5.2 */
#define REASON_MAX 123

struct pn_ws_frames {
    const struct pn_ws_frames_ops *ops;
    void *ctx;
    size_t max_text, max_binary;
    wslay_event_context_ptr wslay;
    uint8_t head[HEAD_MAX]; /* of the frame being written: goes out together with its payload */
    size_t head_len;
    bool mid_frame;      /* a frame is partly written */
    bool held;           /* pn_ws_frames_hold() */
    bool closing;        /* pn_ws_frames_close() */
    unsigned close_code; /* of a close frame that waits for the messages before it; 0: none does */
    char close_reason[REASON_MAX];
    size_t close_reason_len;
    bool broken;              /* the stream ended or broke */
    bool in_control, in_text; /* what arrives now: a control frame; a text message */
    struct pn_buf text;       /* what of it has arrived */
    size_t binary_bytes;      /* what has arrived of a binary one */
    size_t budget;            /* bytes that this run may still read */
    int64_t now_us;
    int64_t window_us; /* the second in which idle frames are counted */
    int n_idle;
};

static bool queue_is_full(const struct pn_ws_frames *f, size_t factor)
{
    return wslay_event_get_queued_msg_length(f->wslay) >= factor * PN_WS_QUEUE_MAX ||
           wslay_event_get_queued_msg_count(f->wslay) >= factor * PN_WS_QUEUE_FRAMES;
}

/* ---- the stream -------------------------------------------------------------------------------------- */

static bool may_read(const struct pn_ws_frames *f)
{
    return (!f->held || f->closing) && !queue_is_full(f, 1);
}

/* What wslay wants to be told of a read or write that failed. */
static ssize_t failed(struct pn_ws_frames *f, ssize_t r)
{
    f->broken = r != -PN_EAGAIN;
    wslay_event_set_error(f->wslay, f->broken ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
    return -1;
}

static ssize_t on_recv(wslay_event_context_ptr wslay, uint8_t *buf, size_t len, int flags, void *user)
{
    struct pn_ws_frames *f = user;
    (void)wslay;
    (void)flags;
    if (f->budget == 0 || !may_read(f))
        return failed(f, -PN_EAGAIN);
    ssize_t n = f->ops->read(f->ctx, (char *)buf, PN_MIN(len, f->budget));
    if (n <= 0)
        return failed(f, n == 0 ? -PN_EIO : n);
    f->budget -= (size_t)n;
    return n;
}

static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *data, size_t len, int flags, void *user)
{
    struct pn_ws_frames *f = user;
    (void)wslay;
    if ((flags & WSLAY_MSG_MORE) && f->head_len == 0 && len <= HEAD_MAX) {
        memcpy(f->head, data, len);
        f->head_len = len;
        return (ssize_t)len;
    }
    struct iovec v[2] = { { f->head, f->head_len }, { (void *)data, len } };
    ssize_t n = f->head_len ? f->ops->write(f->ctx, v, 2) : f->ops->write(f->ctx, v + 1, 1);
    if (n < 0)
        return failed(f, n);
    size_t of_head = PN_MIN((size_t)n, f->head_len), of_data = (size_t)n - of_head;
    f->head_len -= of_head;
    memmove(f->head, f->head + of_head, f->head_len);
    f->mid_frame = of_data < len || (flags & WSLAY_MSG_MORE);
    return of_data > 0 || len == 0 ? (ssize_t)of_data : failed(f, -PN_EAGAIN);
}

/* ---- what arrives ------------------------------------------------------------------------------------ */

static void close_and_listen_no_more(struct pn_ws_frames *f, unsigned code, const char *reason)
{
    pn_ws_frames_close(f, code, reason);
    wslay_event_shutdown_read(f->wslay);
}

/* Counts frames that cost us something and bring nothing. */
static bool is_flooding(struct pn_ws_frames *f, uint64_t payload_length)
{
    if (!f->in_control && payload_length > 0)
        return false;
    if (f->now_us - f->window_us >= SECOND_US) {
        f->window_us = f->now_us;
        f->n_idle = 0;
    }
    return ++f->n_idle > PN_WS_IDLE_FRAMES;
}

/* A close frame with half a code is taken by wslay for one without; the limits of messages are ours, because
 * it does not gather them. */
static void on_frame(wslay_event_context_ptr wslay, const struct wslay_event_on_frame_recv_start_arg *arg,
                     void *user)
{
    struct pn_ws_frames *f = user;
    if (arg->opcode == WSLAY_CONNECTION_CLOSE && arg->payload_length == 1)
        wslay_event_queue_close(wslay, WSLAY_CODE_PROTOCOL_ERROR, NULL, 0);
    f->in_control = wslay_is_ctrl_frame(arg->opcode);
    if (is_flooding(f, arg->payload_length))
        close_and_listen_no_more(f, WSLAY_CODE_POLICY_VIOLATION, "too many frames without data");
    if (f->in_control)
        return;
    if (arg->opcode != WSLAY_CONTINUATION_FRAME)
        f->in_text = arg->opcode == WSLAY_TEXT_FRAME;
    size_t before = f->in_text ? f->text.len : f->binary_bytes;
    size_t limit = f->in_text ? f->max_text : f->max_binary;
    if (arg->payload_length > limit || before > limit - arg->payload_length)
        close_and_listen_no_more(f, WSLAY_CODE_MESSAGE_TOO_BIG, "the message is too long");
}

static void on_piece(wslay_event_context_ptr wslay, const struct wslay_event_on_frame_recv_chunk_arg *arg,
                     void *user)
{
    struct pn_ws_frames *f = user;
    (void)wslay;
    if (f->in_control || f->closing || arg->data_length == 0)
        return;
    if (f->in_text) {
        pn_buf_append(&f->text, arg->data, arg->data_length);
    } else {
        f->binary_bytes += arg->data_length;
        f->ops->binary(f->ctx, (const char *)arg->data, arg->data_length, false);
    }
}

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *arg,
                       void *user)
{
    struct pn_ws_frames *f = user;
    (void)wslay;
    if (wslay_is_ctrl_frame(arg->opcode))
        return;
    if (f->text.failed < 0)
        pn_ws_frames_close(f, WSLAY_CODE_INTERNAL_SERVER_ERROR, "no memory");
    else if (f->in_text && !f->closing)
        f->ops->text(f->ctx, f->text.len ? f->text.ptr : "", f->text.len);
    else if (!f->closing)
        f->ops->binary(f->ctx, "", 0, true);
    f->binary_bytes = 0;
    pn_buf_done(&f->text);
    pn_buf_init(&f->text, f->max_text);
}

/* ---- life -------------------------------------------------------------------------------------------- */

int pn_ws_frames_new(const struct pn_ws_frames_ops *ops, size_t max_text, size_t max_binary, void *ctx,
                     struct pn_ws_frames **ret)
{
    static const struct wslay_event_callbacks callbacks = { .recv_callback = on_recv,
                                                            .send_callback = on_send,
                                                            .on_frame_recv_start_callback = on_frame,
                                                            .on_frame_recv_chunk_callback = on_piece,
                                                            .on_msg_recv_callback = on_message };
    struct pn_ws_frames *f = calloc(1, sizeof(*f));
    if (!f || wslay_event_context_server_init(&f->wslay, &callbacks, f) != 0) {
        free(f);
        return -PN_ENOMEM;
    }
    wslay_event_config_set_no_buffering(f->wslay, 1);
    wslay_event_config_set_max_recv_msg_length(f->wslay, UINT32_MAX); /* on_frame() knows better */
    f->ops = ops;
    f->ctx = ctx;
    f->max_text = max_text;
    f->max_binary = max_binary;
    pn_buf_init(&f->text, max_text);
    *ret = f;
    return 0;
}

struct pn_ws_frames *pn_ws_frames_free(struct pn_ws_frames *f)
{
    if (!f)
        return NULL;
    wslay_event_context_free(f->wslay);
    pn_buf_done(&f->text);
    free(f);
    return NULL;
}

bool pn_ws_frames_wants_read(const struct pn_ws_frames *f)
{
    return wslay_event_want_read(f->wslay) && may_read(f);
}

bool pn_ws_frames_wants_write(const struct pn_ws_frames *f)
{
    return wslay_event_want_write(f->wslay);
}

/* wslay ends on some violations without a code: a control frame that is fragmented or over 125 bytes. */
static void say_protocol_error(struct pn_ws_frames *f)
{
    static const uint8_t close_1002[] = { 0x88, 2, 1002 >> 8, 1002 & 0xff };
    struct iovec v = { (void *)close_1002, sizeof(close_1002) };
    if (!f->mid_frame && !wslay_event_get_close_sent(f->wslay))
        (void)f->ops->write(f->ctx, &v, 1);
}

/* wslay sends control frames first, and nothing behind a close. */
static void close_behind_messages(struct pn_ws_frames *f)
{
    if (f->close_code == 0 || wslay_event_get_queued_msg_count(f->wslay) > 0)
        return;
    (void)wslay_event_queue_close(f->wslay, (uint16_t)f->close_code, (const uint8_t *)f->close_reason,
                                  f->close_reason_len);
    f->close_code = 0;
}

static bool write_out(struct pn_ws_frames *f)
{
    if (wslay_event_want_write(f->wslay) && wslay_event_send(f->wslay) != 0)
        return false;
    close_behind_messages(f);
    return !wslay_event_want_write(f->wslay) || wslay_event_send(f->wslay) == 0;
}

bool pn_ws_frames_run(struct pn_ws_frames *f, int64_t now_us)
{
    f->now_us = now_us;
    f->budget = PN_WS_RUN_BYTES;
    if (wslay_event_want_read(f->wslay) && wslay_event_recv(f->wslay) != 0) {
        if (!f->broken)
            say_protocol_error(f);
        return false;
    }
    if (!write_out(f))
        return false;
    return wslay_event_want_read(f->wslay) || wslay_event_want_write(f->wslay);
}

/* ---- what leaves, and other wishes ------------------------------------------------------------------- */

void pn_ws_frames_hold(struct pn_ws_frames *f, bool hold)
{
    f->held = hold;
}

int pn_ws_frames_send(struct pn_ws_frames *f, bool text, const char *data, size_t n)
{
    struct wslay_event_msg msg = { text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, (const uint8_t *)data, n };
    if (f->closing)
        return -PN_ECANCELLED;
    if (queue_is_full(f, 2))
        return -PN_EFULL;
    int r = wslay_event_queue_msg(f->wslay, &msg);
    if (r != 0)
        return r == WSLAY_ERR_NOMEM ? -PN_ENOMEM : -PN_ECANCELLED;
    return 0;
}

void pn_ws_frames_ping(struct pn_ws_frames *f)
{
    struct wslay_event_msg msg = { WSLAY_PING, NULL, 0 };
    (void)wslay_event_queue_msg(f->wslay, &msg); /* without memory there is none */
}

void pn_ws_frames_close(struct pn_ws_frames *f, unsigned code, const char *reason)
{
    size_t n = PN_MIN(strlen(reason), (size_t)REASON_MAX);
    while (n > 0 && ((unsigned char)reason[n] & 0xc0) == 0x80) /* not in the middle of a character */
        n--;
    if (f->closing)
        return;
    f->closing = true;
    f->close_code = code;
    f->close_reason_len = n;
    memcpy(f->close_reason, reason, n);
    close_behind_messages(f);
}

bool pn_ws_frames_closing(const struct pn_ws_frames *f)
{
    return f->closing;
}
