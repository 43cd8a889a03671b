/* What a person asks `keyless init` for, judged as the daemons would judge it. One thread. */
#ifndef CLI_INIT_WISHES_H
#define CLI_INIT_WISHES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define INIT_WISHES_GIVEN_MAX 64

struct init_wishes {
    bool server, edge; /* which half; none = both, a trial */
    const char *folder;
    const char *server_listen; /* where the key server listens */
    const char *edge_listen;
    const char *origin;
    const char *host;       /* name in the trial's certificates */
    const char *name;       /* of the edge, in authorized_edges */
    const char *user;       /* whom a daemon becomes; NULL = what fits */
    const char *key_server; /* the edge's half: address of the key server */
    const char *server_key; /* the edge's half: its public key, base64 */
    const char *keys[INIT_WISHES_GIVEN_MAX];
    size_t key_count;
    const char *certs[INIT_WISHES_GIVEN_MAX];
    size_t cert_count;
    bool json;
};

/* Puts defaults where nothing was said. */
void init_wishes_complete(struct init_wishes *wishes);
/* Before anything is made: ERR_CONFIG with a fault that names the option. */
int init_wishes_check(const struct init_wishes *wishes, struct fault *fault) MUST_USE;

#endif
