/* What `ping`, `keys`, `bench` and `check --online` share: the key servers of an edge.conf, asked one by one
 * over real channels. One thread. */
#ifndef CLI_SERVERS_H
#define CLI_SERVERS_H

#include <uv.h>

#include "cli/cli.h"
#include "edge/daemon/key_servers.h"

struct servers {
    struct edge_config config;
    struct names names;
    struct key_servers all;
    const char *only; /* name of the one that is meant; NULL = all */
};

/* Loads FILE; complains for VERB and returns an exit code, 0 when all is well. */
int servers_open(struct servers *servers, const struct cli_verb *verb, const char *file, const char *only);
void servers_close(struct servers *servers);

/* One server that is being asked, and why it does not answer, if it does not. */
struct asking {
    uv_loop_t *loop;
    struct client *client;
    const struct client_server *server;
    bool waiting;    /* nothing but an answer is waited for: a server that cannot be reached ends the loop */
    char error[200]; /* "" = it could be reached */
    char hint[200];  /* what to look at; may be empty */
};

/* Calls ASK once for each server that is meant, with a client that knows this server only and a loop that ASK
 * may run; ASK stops the loop by itself when it has its answer. The worst exit code of all is returned. */
typedef int (*servers_ask)(struct asking *asking, void *user);
int servers_each(struct servers *servers, const struct cli_verb *verb, servers_ask ask, void *user);

#define SERVERS_TIMEOUT_S 5 /* for an answer */

/* The on_failed of a client whose `user` is a struct asking. Who did not answer at all may still, until the
 * time is over; everything else is for good. */
void servers_on_failed(const struct client_failure *failure, void *user);
/* A request of ASKING has ended with STATUS, or not at all (`waiting` has stopped the loop): fills in `error`
 * and `hint` if it was no good. ANSWERED: the server itself has said STATUS. */
void servers_explain(struct asking *asking, enum operation_status status, bool answered);
/* "error: hint" of ASKING in OUT; returns OUT. */
#define SERVERS_WHY_SIZE 404
char *servers_why(const struct asking *asking, char out[static SERVERS_WHY_SIZE]);

/* For an ASK: waits for the channel by a ping, then asks for the list of keys, within 5 s each. ON_KEYS is
 * called as client_keys() does it, without the closing call. STATUS_OK, or why there is no list, which
 * servers_why() tells. */
enum operation_status servers_list_keys(struct asking *asking, client_keys_handler on_keys, void *user);

#endif
