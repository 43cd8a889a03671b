/* The configurations that `keyless init` writes. */
#ifndef CLI_INIT_CONF_H
#define CLI_INIT_CONF_H

#include <stdbool.h>

#include "common/bytes.h"

/* Whom a daemon becomes that is started as root, where nobody says otherwise. */
#define INIT_CONF_SERVER_ACCOUNT "keyless-server"
#define INIT_CONF_EDGE_ACCOUNT   "keyless-edge"

struct init_conf {
    const char *folder; /* absolute */
    const char *listen;
    const char *user;  /* whom the daemon becomes; NULL = what fits (accounts.h) */
    bool trial;        /* on one machine, beside the other half */
    bool memory_short; /* a key server's keys cannot be locked here */
    /* An edge's. */
    const char *origin;
    const char *key_server; /* its address */
    const char *server_key; /* and its public key, base64 */
};

/* Append to OUT the text of server.conf and of edge.conf. ERR_FORMAT for a text that a configuration cannot
 * hold, ERR_MEMORY. */
int init_conf_server(struct buffer *out, const struct init_conf *conf) MUST_USE;
int init_conf_edge(struct buffer *out, const struct init_conf *conf) MUST_USE;

#endif
