/* listen.c - see listen.h. */
#include "server/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

int pn_listen(const char *host, int port, struct pn_err *err)
{
    struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    bool v6 = inet_pton(AF_INET6, host, &a6.sin6_addr) == 1;
    const char *v4_host = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (!v6 && inet_pton(AF_INET, v4_host, &a4.sin_addr) != 1)
        return pn_fail(err, PN_EINVAL, "HOST '%s' is not an IPv4 or IPv6 address", host);

    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return pn_fail_errno(err, "socket");
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    int r = v6 ? bind(fd, (struct sockaddr *)&a6, sizeof(a6)) : bind(fd, (struct sockaddr *)&a4, sizeof(a4));
    if (r < 0 || listen(fd, BACKLOG) < 0) {
        r = pn_fail_errno(err, "cannot listen on %s port %d", host, port);
        close(fd);
        return r;
    }
    return fd;
}

int pn_listen_port(int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}
