/* What `ping`, `keys`, `bench` and `check --online` share: the key servers of an edge.conf, asked one by one
 * over real channels. One thread. */
#ifndef CLI_SERVERS_H
#define CLI_SERVERS_H

#include <uv.h>

#include "cli/cli.h"
#include "edge/key_servers.h"

struct servers {
    struct edge_config config;
    struct names names;
    struct key_servers all;
    const char *only; /* name of the one that is meant; NULL = all */
};

/* Loads FILE; complains for VERB and returns an exit code, 0 when all is well. */
int servers_open(struct servers *servers, const struct cli_verb *verb, const char *file, const char *only);
void servers_close(struct servers *servers);

/* Calls ASK once for each server that is meant, with a client that knows this server only and a loop that ASK
 * may run; ASK stops the loop by itself when it has its answer. The worst exit code of all is returned. */
typedef int (*servers_ask)(uv_loop_t *loop, struct client *client, const struct client_server *server,
                           void *user);
int servers_each(struct servers *servers, const struct cli_verb *verb, servers_ask ask, void *user);

/* For an ASK: waits for the channel by a ping, then asks for the list of keys, within 5 s each. ON_KEYS is
 * called as client_keys() does it, without the closing call. STATUS_OK, or why there is no list. */
enum operation_status servers_list_keys(uv_loop_t *loop, struct client *client, client_keys_handler on_keys,
                                        void *user);

#endif
