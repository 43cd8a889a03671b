/* Setup: everything the edge reads before it serves: configuration, identity, key servers, certificates, and
 * what is made of them once. Immutable afterwards; any thread may read it. */
#ifndef EDGE_SETUP_H
#define EDGE_SETUP_H

#include "edge/certs.h"
#include "edge/key_servers.h"
#include "edge/origins.h"
#include "edge/tls.h"

struct setup {
    struct edge_config config;
    struct key_servers key_servers;
    struct client_server_stats *stats; /* owned, one a key server; with the next the only part that changes */
    struct grants *grants;             /* owned; of the certificates' keys */
    struct origins origins;
    OSSL_LIB_CTX *context; /* owned */
    struct certs *certs;   /* owned */
    struct tls *tls;       /* owned */
    unsigned threads;      /* of the configuration, or one a core */
};

/* Loads what FILE names into the zeroed OUT. STRICT, for a test: a certificate that would be skipped is an
 * error, and so is an address or an account that a start could not use; otherwise it
 * is for a start, which as root needs a user. Needs secret_init(). On error OUT is
 * cleared. */
int setup_load(struct setup *out, const char *file, bool strict, struct fault *fault) MUST_USE;
void setup_clear(struct setup *setup);

#endif
