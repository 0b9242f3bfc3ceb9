/* tls_pump.c - see tls_pump.h.
 *
 * Each direction moves one piece at a time and returns 1 for "moved", 0 for "cannot now", -PN_E* for
 * "broken". */
#include "server/tls_pump.h"

#include "base/attr.h"
#include "base/error.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECES_PER_RUN 16
#define DROP_MAX       (16u << 20) /* as much as conn.c drops of a plain connection that is over */

static int keep_rest(struct pn_tls_rest *rest, const char *bytes, size_t n)
{
    rest->bytes = malloc(n);
    if (!rest->bytes)
        return -PN_ENOMEM;
    memcpy(rest->bytes, bytes, n);
    rest->at = 0;
    rest->len = n;
    return 0;
}

static void take_rest(struct pn_tls_rest *rest, size_t n)
{
    rest->at += n;
    if (rest->at < rest->len)
        return;
    free(rest->bytes);
    rest->bytes = NULL;
}

/* ---- from the client to the server ------------------------------------------------------------------- */

/* Returns how many bytes went; 0 with app_full set when there is no room, with app_deaf when nobody listens.
 */
static size_t put_app(struct pn_tls_pump *p, const char *bytes, size_t n)
{
    pn_tally_add(p->tally, (int64_t)n);
    ssize_t sent = send(p->app_fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        p->app_full = errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
        p->app_deaf = !p->app_full;
        sent = 0;
    }
    pn_tally_add(p->tally, sent - (int64_t)n);
    return (size_t)sent;
}

static int give_app(struct pn_tls_pump *p, const char *bytes, size_t n)
{
    size_t sent = p->app_deaf ? 0 : put_app(p, bytes, n);
    if (p->app_deaf)
        return (p->dropped += n) > DROP_MAX ? -PN_ELIMIT : 1;
    p->app_full = sent < n;
    return p->app_full && keep_rest(&p->to_app, bytes + sent, n - sent) < 0 ? -PN_ENOMEM : 1;
}

static int give_app_rest(struct pn_tls_pump *p)
{
    struct pn_tls_rest *rest = &p->to_app;
    if (p->app_full)
        return 0;
    size_t sent = put_app(p, rest->bytes + rest->at, rest->len - rest->at);
    take_rest(rest, p->app_deaf ? rest->len - rest->at : sent);
    p->app_full = rest->bytes != NULL;
    return sent > 0 || p->app_deaf;
}

/* What a read that brought nothing means. */
static int not_read(struct pn_tls_pump *p, int r)
{
    switch (SSL_get_error(p->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        p->net_in = false;
        return 0;
    case SSL_ERROR_WANT_WRITE:
        p->net_in = false; /* set again by any event */
        p->net_full = true;
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        p->net_ended = true;
        shutdown(p->app_fd, SHUT_WR);
        return 1;
    default:
        return -PN_EIO;
    }
}

static int move_in(struct pn_tls_pump *p, char *scratch)
{
    if (p->to_app.bytes)
        return give_app_rest(p);
    if (p->net_ended || !p->net_in)
        return 0;
    ERR_clear_error();
    int n = SSL_read(p->ssl, scratch, PN_TLS_PIECE);
    return n > 0 ? give_app(p, scratch, (size_t)n) : not_read(p, n);
}

/* ---- from the server to the client ------------------------------------------------------------------- */

static int not_written(struct pn_tls_pump *p, int r)
{
    p->net_full = SSL_get_error(p->ssl, r) == SSL_ERROR_WANT_WRITE;
    return p->net_full ? 0 : -PN_EIO;
}

/* Returns how many bytes OpenSSL took, 0 with net_full set when there is no room, or -PN_EIO. */
static int put_net(struct pn_tls_pump *p, const char *bytes, size_t n)
{
    ERR_clear_error();
    int r = SSL_write(p->ssl, bytes, (int)n);
    return r > 0 ? r : not_written(p, r);
}

static int give_net(struct pn_tls_pump *p, const char *bytes, size_t n)
{
    int taken = put_net(p, bytes, n);
    if (taken < 0)
        return taken;
    size_t left = n - (size_t)taken;
    return left > 0 && keep_rest(&p->to_net, bytes + taken, left) < 0 ? -PN_ENOMEM : 1;
}

static int give_net_rest(struct pn_tls_pump *p)
{
    struct pn_tls_rest *rest = &p->to_net;
    if (p->net_full)
        return 0;
    int taken = put_net(p, rest->bytes + rest->at, rest->len - rest->at);
    if (taken > 0)
        take_rest(rest, (size_t)taken);
    return PN_MIN(taken, 1);
}

static int say_goodbye(struct pn_tls_pump *p)
{
    if (p->net_full)
        return 0;
    ERR_clear_error();
    int r = SSL_shutdown(p->ssl);
    if (r < 0)
        return not_written(p, r);
    shutdown(p->net_fd, SHUT_WR);
    p->said_goodbye = true;
    return 1;
}

static int move_out(struct pn_tls_pump *p, char *scratch)
{
    if (p->to_net.bytes)
        return give_net_rest(p);
    if (p->app_ended)
        return p->said_goodbye ? 0 : say_goodbye(p);
    if (!p->app_in)
        return 0;
    ssize_t n = recv(p->app_fd, scratch, PN_TLS_PIECE, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        p->app_in = false;
        return 0;
    }
    if (n <= 0) { /* a reset, too: the other end was closed with bytes unread */
        p->app_ended = true;
        return 1;
    }
    p->app_in = n == PN_TLS_PIECE || p->app_hup; /* a short read has emptied it */
    return give_net(p, scratch, (size_t)n);
}

/* ---- both -------------------------------------------------------------------------------------------- */

enum pn_tls_next pn_tls_pump_run(struct pn_tls_pump *p, char *scratch, int64_t now_us)
{
    for (int i = 0; i < PIECES_PER_RUN; i++) {
        int in = move_in(p, scratch), out = in < 0 ? in : move_out(p, scratch);
        if (in < 0 || out < 0 || (p->net_ended && p->said_goodbye))
            return PN_TLS_OVER;
        if (in == 0 && out == 0)
            return PN_TLS_WAIT;
        p->moved_us = now_us;
    }
    return PN_TLS_MORE;
}

void pn_tls_pump_done(struct pn_tls_pump *p)
{
    SSL_free(p->ssl);
    if (p->net_fd >= 0)
        close(p->net_fd);
    if (p->app_fd >= 0)
        close(p->app_fd);
    pn_tally_unref(p->tally);
    free(p->to_app.bytes);
    free(p->to_net.bytes);
    *p = (struct pn_tls_pump){ .net_fd = -1, .app_fd = -1 };
}
