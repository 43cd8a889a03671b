/* Key servers: what the configuration says of them, resolved and loaded: the edge's identity, addresses,
 * pinned keys, pre-shared keys.
 *
 * For the daemon and for the command, which asks the same servers under the same identity. Start-up only. */
#ifndef EDGE_KEY_SERVERS_H
#define EDGE_KEY_SERVERS_H

#include "edge/client/client.h"
#include "edge/edge_config.h"

struct key_servers {
    struct identity *identity;     /* owned; guarded memory */
    struct client_server *servers; /* owned, count; guarded memory, as it holds the psks; names borrowed from
                                      the configuration */
    size_t count;
};

/* Loads what CONFIG names into the zeroed OUT; CONFIG must outlive it. On error OUT is cleared. */
int key_servers_load(struct key_servers *out, const struct edge_config *config, struct fault *fault) MUST_USE;
void key_servers_clear(struct key_servers *servers);

#endif
