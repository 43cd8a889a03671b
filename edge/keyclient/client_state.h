/* Client state: what a client is made of. The inside of client.h; nobody but client*.c includes it.
 *
 *   client.c         its life, and the verbs about requests
 *   client_loop.c    what the loop brings: turns, deadlines, names
 *   client_links.c   what channels and links bring, and who is told of it
 *   client_epochs.c  the verbs about epochs
 *   client_grants.c  client_grants()
 *   client_keys.c    client_keys()
 *
 * Everything below (route.h, inquiries.h, pool.h, …) is called from here and calls nothing here. Loop thread
 * only. */
#ifndef EDGE_KEYCLIENT_CLIENT_STATE_H
#define EDGE_KEYCLIENT_CLIENT_STATE_H

#include "edge/keyclient/client.h"
#include "edge/keyclient/epochs.h"
#include "edge/keyclient/inquiries.h"
#include "edge/keyclient/route.h"

struct client {
    uv_loop_t *loop; /* borrowed */
    struct client_settings settings;
    struct pool pool;               /* of links, by the servers' numbers */
    struct route route;             /* requests */
    struct epochs *epochs;          /* owned; by the servers' numbers */
    struct epoch_waits epoch_waits; /* for one of them */
    struct inquiries inquiries;     /* what the servers grant */
    struct conn_batch batch;        /* scratch of all connections */
    struct turn turn;               /* while there is something to send: all of one turn together */
    uv_prepare_t prepare;           /* before the loop sleeps: measures */
    uv_check_t check;               /* after it has looked for what has come: deadlines */
    uv_timer_t timer;               /* wakes it for the first of them */
    uint64_t armed_ns;              /* when the timer fires; UINT64_MAX = not armed */
    uint64_t looked_ns;             /* when the loop began to look */
    uv_async_t resolved;            /* a name has been looked up; unused without `names` */
    struct names_watch watch;
    unsigned handles; /* of the client's own that are not closed */
    bool closing;
};

/* Frees the client when it is closing and neither handle nor connection is left. */
void client_free_when_closed(struct client *client);

/* Starts the handles. ERR_SYSTEM: nothing is started. */
int client_loop_start(struct client *client) MUST_USE;
void client_loop_stop(struct client *client);

/* Starts connecting to all servers. */
void client_links_start(struct client *client);
/* Closes all channels; no request is open. */
void client_links_close(struct client *client);
/* A name has been looked up. */
void client_links_resolved(struct client *client);
/* Sends what is queued; closes replaced connections whose last request is answered. */
void client_links_flush(struct client *client);
/* Looks after the channels, before the loop sleeps. When to look next; UINT64_MAX = nothing is due. */
uint64_t client_links_watch(struct client *client, uint64_t now_ns);

/* SERVER has announced EPOCH, or said with number 0 that this edge has none. */
void client_epochs_take(struct client *client, size_t server, const struct msg_epoch *epoch);
/* Ends the waits for an epoch when nothing is to be waited for any more. */
void client_epochs_turn(struct client *client);

#endif
