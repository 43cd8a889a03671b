/* Origins: where the plain bytes of which application protocol go, so that no server gets a protocol that it
 * does not speak. Made from the configuration; immutable afterwards, any thread may read it. */
#ifndef EDGE_RELAY_ORIGINS_H
#define EDGE_RELAY_ORIGINS_H

#include "common/names.h"
#include "edge/config/edge_config.h"

#define ORIGINS_MAX 16 /* the one of `origin` and 15 of `origin_for` */

struct origin_route {
    const char *protocol; /* "h2", or "default": of all that have none of their own; borrowed from CONFIG */
    size_t number;        /* of its counters; 0 is the default */
    struct endpoint endpoint;
};

struct origins {
    struct origin_route route[ORIGINS_MAX];
    size_t count;
};

/* Takes what CONFIG says, which outlives OUT. ERR_CONFIG with a fault that names the option. */
int origins_load(struct origins *out, const struct edge_config *config, struct names *names,
                 struct fault *fault) MUST_USE;
/* The route of a session that has agreed on PROTOCOL (RFC 7301; LENGTH 0: on none). http/1.0 goes where
 * http/1.1 does unless it has a route of its own. */
const struct origin_route *origins_find(const struct origins *origins, const uint8_t *protocol,
                                        size_t length);

#endif
