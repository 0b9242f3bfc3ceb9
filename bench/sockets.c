/* sockets.c - many WebSocket clients in one thread: all connect at once, then short messages go out at an
 * even rate, one client after the other, and the time until each comes back is measured; in the end all say
 * goodbye.
 *
 *     bench_sockets PORT PATH CLIENTS MESSAGES_PER_SECOND SECONDS [CA.PEM]
 *
 * Prints one line: clients open, failures, seconds to open all, messages/s, latency p50, p95, p99 and highest
 * in ms, messages that were due while the one before was still out, clean goodbyes. With CA.PEM over TLS. */
#include "base/attr.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAYLOAD    64
#define OPENING_US 60000000
#define ENDING_US  5000000

enum stage { CONNECTING, SHAKING, UPGRADING, OPEN, CLOSING, GONE };

struct client {
    int fd;
    SSL *ssl; /* NULL: plain */
    enum stage stage;
    int64_t sent_us; /* 0: nothing is out */
    size_t have;
    unsigned char in[1024];
};

static struct {
    struct client *clients;
    int n, epoll_fd;
    const char *path;
    SSL_CTX *tls;
    int n_open, n_failed, n_goodbyes, n_late;
    double *latency_ms;
    size_t n_latency, max_latency;
} b;

static void fail(struct client *c)
{
    if (c->stage == GONE)
        return;
    b.n_failed += c->stage != CLOSING;
    b.n_goodbyes += c->stage == CLOSING;
    b.n_open -= c->stage == OPEN;
    c->stage = GONE;
    SSL_free(c->ssl);
    close(c->fd);
}

/* Bytes, 0 for "not now", -1 for the end. */
static int take(struct client *c, void *out, size_t n)
{
    if (!c->ssl) {
        ssize_t r = recv(c->fd, out, n, 0);
        return r > 0 ? (int)r : r < 0 && errno == EAGAIN ? 0 : -1;
    }
    ERR_clear_error();
    int r = SSL_read(c->ssl, out, (int)n);
    if (r > 0)
        return r;
    return SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ ? 0 : -1;
}

/* What is sent is short and the buffer empty, so it fits. */
static void give(struct client *c, const void *data, size_t n)
{
    ERR_clear_error();
    ssize_t r = c->ssl ? SSL_write(c->ssl, data, (int)n) : send(c->fd, data, n, MSG_NOSIGNAL);
    if (r != (ssize_t)n)
        fail(c);
}

static void say(struct client *c, unsigned char opcode, size_t n)
{
    unsigned char f[6 + PAYLOAD] = { 0x80 | opcode, 0x80 | (unsigned char)n, 1, 2, 3, 4 };
    for (size_t i = 0; i < n; i++)
        f[6 + i] = (unsigned char)((opcode == 8 ? "\x03\xe8"[i] : 'a') ^ f[2 + i % 4]);
    give(c, f, 6 + n);
}

static void upgrade(struct client *c)
{
    char text[512];
    int n = snprintf(text, sizeof(text),
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     b.path);
    c->stage = UPGRADING;
    give(c, text, (size_t)n);
}

static void shake(struct client *c)
{
    ERR_clear_error();
    int r = SSL_connect(c->ssl);
    int why = r == 1 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, r);
    if (r == 1)
        upgrade(c);
    else if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        fail(c);
}

static void connected(struct client *c)
{
    int e = 0, one = 1;
    socklen_t len = sizeof(e);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0 || e != 0) {
        fail(c);
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (!b.tls) {
        upgrade(c);
        return;
    }
    c->stage = SHAKING;
    c->ssl = SSL_new(b.tls);
    if (!c->ssl || !SSL_set_fd(c->ssl, c->fd) || !SSL_set1_host(c->ssl, "localhost"))
        fail(c);
    else
        shake(c);
}

static void answered(struct client *c)
{
    c->in[PN_MIN(c->have, sizeof(c->in) - 1)] = 0;
    if (!strstr((char *)c->in, "\r\n\r\n"))
        return;
    if (strncmp((char *)c->in, "HTTP/1.1 101 ", 13) != 0) {
        fail(c);
        return;
    }
    c->stage = OPEN;
    c->have = 0;
    b.n_open++;
}

static void heard(struct client *c)
{
    if (c->in[0] == 0x88) {
        fail(c);
        return;
    }
    if (c->have < 2 + PAYLOAD || c->in[0] != 0x82 || !c->sent_us)
        return;
    if (b.n_latency < b.max_latency)
        b.latency_ms[b.n_latency++] = (double)(pn_now_us() - c->sent_us) / 1000;
    c->sent_us = 0;
    c->have = 0;
}

static void on_event(struct client *c)
{
    if (c->stage == CONNECTING)
        connected(c);
    else if (c->stage == SHAKING)
        shake(c);
    while (c->stage == UPGRADING || c->stage == OPEN || c->stage == CLOSING) {
        int n = c->have < sizeof(c->in) ? take(c, c->in + c->have, sizeof(c->in) - c->have) : -1;
        if (n < 0)
            fail(c);
        if (n <= 0)
            return;
        c->have += (size_t)n;
        if (c->stage == UPGRADING)
            answered(c);
        else
            heard(c);
    }
}

static void poll_once(int64_t until_us)
{
    struct epoll_event ev[256];
    int64_t left = until_us - pn_now_us();
    int n = epoll_wait(b.epoll_fd, ev, 256, left > 1000 ? (int)PN_MIN(left / 1000, 100) : 0);
    for (int i = 0; i < n; i++)
        if (((struct client *)ev[i].data.ptr)->stage != GONE)
            on_event(ev[i].data.ptr);
}

static void start(struct client *c, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
    c->stage = CONNECTING;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS) ||
        epoll_ctl(b.epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        fail(c);
}

/* Seconds it took. */
static double open_all(int port)
{
    int64_t began = pn_now_us();
    for (int i = 0; i < b.n; i++)
        start(&b.clients[i], port);
    while (b.n_open + b.n_failed < b.n && pn_now_us() < began + OPENING_US)
        poll_once(began + OPENING_US);
    return (double)(pn_now_us() - began) / 1e6;
}

static void talk(int rate, int seconds)
{
    int64_t began = pn_now_us(), total = (int64_t)rate * seconds;
    for (int64_t sent = 0; sent < total;) {
        int64_t due = began + sent * 1000000 / rate;
        if (pn_now_us() < due) {
            poll_once(due);
            continue;
        }
        struct client *c = &b.clients[sent++ % b.n];
        if (c->stage != OPEN)
            continue;
        if (c->sent_us) {
            b.n_late++;
            continue;
        }
        c->sent_us = pn_now_us();
        say(c, 2, PAYLOAD);
    }
    int64_t until = pn_now_us() + ENDING_US;
    while (b.n_latency + (size_t)b.n_late + (size_t)b.n_failed < (size_t)total && pn_now_us() < until)
        poll_once(until);
}

static void part(void)
{
    for (int i = 0; i < b.n; i++) {
        struct client *c = &b.clients[i];
        if (c->stage != OPEN)
            continue;
        b.n_open--;
        c->stage = CLOSING;
        say(c, 8, 2);
    }
    int64_t until = pn_now_us() + ENDING_US;
    while (b.n_goodbyes + b.n_failed < b.n && pn_now_us() < until)
        poll_once(until);
}

static int by_size(const void *x, const void *y)
{
    double d = *(const double *)x - *(const double *)y;
    return (d > 0) - (d < 0);
}

static double quantile(double q)
{
    return b.n_latency ? b.latency_ms[(size_t)(q * (double)(b.n_latency - 1))] : 0;
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7) {
        fprintf(stderr, "usage: %s PORT PATH CLIENTS MESSAGES_PER_SECOND SECONDS [CA.PEM]\n", argv[0]);
        return 2;
    }
    int port = (int)strtol(argv[1], NULL, 10), rate = (int)strtol(argv[4], NULL, 10);
    int seconds = (int)strtol(argv[5], NULL, 10);
    struct rlimit files = { 65536, 65536 };
    signal(SIGPIPE, SIG_IGN);
    (void)setrlimit(RLIMIT_NOFILE, &files);
    b.path = argv[2];
    b.n = (int)strtol(argv[3], NULL, 10);
    b.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    b.max_latency = (size_t)rate * (size_t)seconds;
    b.clients = calloc((size_t)b.n, sizeof(struct client));
    b.latency_ms = calloc(b.max_latency + 1, sizeof(double));
    b.tls = argc == 7 ? SSL_CTX_new(TLS_client_method()) : NULL;
    if (b.n < 1 || rate < 1 || !b.clients || !b.latency_ms || b.epoll_fd < 0 ||
        (argc == 7 && (!b.tls || SSL_CTX_load_verify_locations(b.tls, argv[6], NULL) != 1)))
        return 2;
    if (b.tls)
        SSL_CTX_set_verify(b.tls, SSL_VERIFY_PEER, NULL);
    double opening = open_all(port);
    int opened = b.n_open;
    int64_t began = pn_now_us();
    talk(rate, seconds);
    double talking = (double)(pn_now_us() - began) / 1e6;
    part();
    qsort(b.latency_ms, b.n_latency, sizeof(double), by_size);
    printf("%d %d %.2f %.0f %.2f %.2f %.2f %.2f %d %d\n", opened, b.n_failed, opening,
           (double)b.n_latency / talking, quantile(0.5), quantile(0.95), quantile(0.99), quantile(1),
           b.n_late, b.n_goodbyes);
    return b.n_failed > 0;
}
