/* tls_link.h - inside TLS (tls.h): one client from its first byte to its last. All on the TLS thread.
 *
 * Edge-triggered: a connection's flags remember what an event said until a call says "not now". A connection
 * that ends is only marked dead, because an event for its other descriptor may be in the same batch. */
#ifndef PN_SERVER_TLS_LINK_H
#define PN_SERVER_TLS_LINK_H

#include "server/tls.h"
#include "server/tls_pump.h"

#include <pthread.h>
#include <stdatomic.h>

enum pn_tls_stage {
    PN_TLS_HELLO,     /* the first byte is awaited */
    PN_TLS_HANDSHAKE, /* OpenSSL shakes hands */
    PN_TLS_OPEN,      /* the pump runs */
    PN_TLS_PLAIN,     /* no TLS: it was told so, and what it sends is dropped */
    PN_TLS_DEAD,      /* freed after the batch */
};

/* What epoll knows of a descriptor. */
struct pn_tls_watch {
    enum { PN_TLS_LISTENER, PN_TLS_WAKE, PN_TLS_NET, PN_TLS_APP } what;
    void *of; /* struct pn_listener, NULL, struct pn_tls_link */
};

struct pn_tls_link {
    struct pn_tls_watch net, app;
    struct pn_tls_link *prev, *next;
    struct pn_tls_link *next_more; /* in the list of those that have more to do */
    bool in_more;
    enum pn_tls_stage stage;
    struct pn_tls_pump pump;
    struct pn_peer peer;
    bool net_hup;                  /* the client's FIN is there, maybe behind unread bytes */
    bool net_watched, app_watched; /* for room to write, too */
    int64_t deadline_us; /* PN_TLS_HELLO, PN_TLS_HANDSHAKE, PN_TLS_PLAIN; PN_TLS_OPEN: after the goodbye */
};

struct pn_tls {
    struct pn_tls_options opt;
    pthread_t thread;
    bool started;
    int epoll_fd, wake_fd;
    struct pn_tls_watch wake, entrances[PN_LISTENERS_MAX];
    bool starved;                              /* no descriptors left: accepting pauses until the next tick */
    struct pn_tls_link *links, *more, *graves; /* a dead one in `more` goes to its grave from there */
    atomic_int count;
    atomic_bool stop;
    int64_t now_us, next_tick_us, stop_by_us;
    pthread_mutex_t mu;
    SSL_CTX *context; /* guarded by mu */
    char scratch[PN_TLS_PIECE];
};

int pn_tls_watch(struct pn_tls *t, int op, int fd, struct pn_tls_watch *w, uint32_t events); /* epoll_ctl */

/* Takes an accepted descriptor. */
void pn_tls_link_begin(struct pn_tls *t, int fd, const struct pn_peer *peer);
void pn_tls_link_event(struct pn_tls *t, struct pn_tls_link *l, bool net, uint32_t events);
/* Those that had more to do than was fair go on. */
void pn_tls_links_more(struct pn_tls *t);
void pn_tls_links_tick(struct pn_tls *t); /* ends those whose time is over */
/* The loop has closed its ends: only what is on its way out still matters, until `by_us`. */
void pn_tls_links_wind_up(struct pn_tls *t, int64_t by_us);
void pn_tls_links_bury(struct pn_tls *t); /* the batch is over: frees the dead */

#endif
