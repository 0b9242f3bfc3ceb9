/* listen.c - see listen.h. */
#include "server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 1024

static int bound_port(int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

int pn_listen(struct pn_listener *l, struct pn_err *err)
{
    struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)l->port) };
    struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)l->port) };
    bool v6 = inet_pton(AF_INET6, l->host, &a6.sin6_addr) == 1;
    const char *v4_host = strcmp(l->host, "localhost") == 0 ? "127.0.0.1" : l->host;
    if (!v6 && inet_pton(AF_INET, v4_host, &a4.sin_addr) != 1)
        return pn_fail(err, PN_EINVAL, "HOST '%s' is not an IPv4 or IPv6 address", l->host);

    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return pn_fail_errno(err, "socket");
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    int r = v6 ? bind(fd, (struct sockaddr *)&a6, sizeof(a6)) : bind(fd, (struct sockaddr *)&a4, sizeof(a4));
    if (r < 0 || listen(fd, BACKLOG) < 0) {
        r = pn_fail_errno(err, "cannot listen on %s port %d", l->host, l->port);
        close(fd);
        return r;
    }
    l->fd = fd;
    l->port = bound_port(fd);
    return 0;
}

int pn_listen_accept(const struct pn_listener *l, struct pn_peer *ret)
{
    struct pn_peer peer = { .len = sizeof(peer.address), .kind = l->kind };
    int fd, one = 1;
    do
        fd = accept4(l->fd, (struct sockaddr *)&peer.address, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && (errno == ECONNABORTED || errno == EINTR));
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ? -PN_ENOMEM
                                                                                         : -PN_EAGAIN;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    *ret = peer;
    return fd;
}
