/* Setup: everything the edge reads before it serves: configuration, identity, key servers, certificates, and
 * what is made of them once. Immutable afterwards; any thread may read it. */
#ifndef EDGE_DAEMON_SETUP_H
#define EDGE_DAEMON_SETUP_H

#include "common/names.h"
#include "common/resolver.h"
#include "edge/certs/certs.h"
#include "edge/daemon/key_servers.h"
#include "edge/relay/origins.h"
#include "edge/tls/tls.h"

struct setup {
    struct edge_config config;
    struct key_servers key_servers;
    struct client_server_stats
        *stats; /* owned, one a key server; with the counter below and the next the only part that changes */
    struct grants *grants; /* owned; of the certificates' keys */
    struct origins origins;
    struct names names; /* of key servers and origin */
    struct resolver resolver;
    counter resolver_restarts; /* times that its process has died and runs again */
    OSSL_LIB_CTX *context;     /* owned */
    struct certs *certs;       /* owned */
    struct tls *tls;           /* owned */
    unsigned threads;          /* of the configuration, or one a core */
    const char *file;          /* borrowed; the configuration's */
    bool dry_run;              /* a certificate that a start would skip is an error */
};

/* Loads what FILE names into OUT, whose configuration is loaded from it and which is zero else. Needs
 * secret_init(). Starts the resolver when there are names: no thread may exist. On error OUT is cleared. */
int setup_load(struct setup *out, const char *file, struct fault *fault) MUST_USE;
/* The same for a dry run, which starts nothing and does not end at the first fault: SAY gets each (borrowed).
 * A certificate that would be skipped is an error, and so is an address or an account that a start could not
 * use. Names are looked up, blocking. 0, or the error of the first fault, and OUT is cleared. */
int setup_try(struct setup *out, const char *file, void (*say)(const char *fault)) MUST_USE;
void setup_clear(struct setup *setup);

#endif
