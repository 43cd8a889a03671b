/* Key servers: what the configuration says of them, loaded: the edge's identity, addresses or names, pinned
 * keys, pre-shared keys. Names are not resolved here.
 *
 * For the daemon and for the command, which asks the same servers under the same identity. Start-up only. */
#ifndef EDGE_DAEMON_KEY_SERVERS_H
#define EDGE_DAEMON_KEY_SERVERS_H

#include "edge/config/edge_config.h"
#include "edge/keyclient/client.h"

/* Who has a pre-shared key, too, as a hint says it. */
#define KEY_SERVERS_PSK_HOLDER "the key server (psk= in its authorized_edges)"

struct key_servers {
    struct identity *identity;     /* owned; guarded memory */
    struct client_server *servers; /* owned, count; guarded memory, as it holds the psks; names borrowed from
                                      the configuration */
    size_t count;
    struct names *names; /* borrowed; NULL when there is no name */
};

/* Loads what CONFIG names into the zeroed OUT; CONFIG must outlive it. Names are added to NAMES, which must
 * outlive it, too. On error OUT is cleared. */
int key_servers_load(struct key_servers *out, const struct edge_config *config, struct names *names,
                     struct fault *fault) MUST_USE;
/* Looks the names up, blocking, for who asks once and ends: the first address found becomes that of the
 * endpoint.
 */
void key_servers_resolve(struct key_servers *servers, struct names *names);
void key_servers_clear(struct key_servers *servers);

#endif
