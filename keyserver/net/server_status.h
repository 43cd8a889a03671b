/* What the key server says of itself on its admin endpoint: /metrics, /live, /ready and /status.json.
 *
 * Names and numbers of the owner's edges and vault; never a secret, and no label that a client chose. Loop
 * thread only. */
#ifndef KEYSERVER_NET_SERVER_STATUS_H
#define KEYSERVER_NET_SERVER_STATUS_H

#include <time.h>

#include "common/admin.h"
#include "common/sandbox.h"
#include "keyserver/net/server_sockets.h"
#include "keyserver/net/service.h"

struct server_status {
    struct service *service;                   /* borrowed */
    uint64_t started_ns;                       /* of clock_ns() */
    time_t started;                            /* of the wall clock */
    struct sandbox_state sandbox;              /* of this process */
    enum control_load load;                    /* of a vault, as the supervisor tells */
    struct channel_listener *const *accepting; /* borrowed, SERVER_LISTENERS_MAX; NULL = closed */
    size_t listener_count;
    char listeners[SERVER_LISTENERS_MAX][ADDRESS_TEXT_SIZE]; /* as bound */
};

/* LISTENERS, COUNT, are only asked for their addresses; ACCEPTING will have what accepts at each. */
void server_status_init(struct server_status *status, struct service *service, const int *listeners,
                        size_t count, struct channel_listener *const *accepting);
/* How many listeners are broken. AT becomes the address of one of them; NULL is allowed. */
size_t server_status_broken(const struct server_status *status, const char **at);

/* For admin_start(), with a `struct server_status` as its user. */
extern const struct admin_route server_status_routes[];

#endif
