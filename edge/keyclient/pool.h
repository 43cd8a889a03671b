/* Pool: the ways to all key servers that one client knows, by the servers' numbers. Loop thread only. */
#ifndef EDGE_KEYCLIENT_POOL_H
#define EDGE_KEYCLIENT_POOL_H

#include "edge/keyclient/link.h"

struct pool {
    struct link *links; /* owned, count */
    size_t count;
    unsigned usable; /* links with an open channel */
};

/* For COUNT servers; the links are the caller's to fill in with link_init(). ERR_MEMORY. */
int pool_init(struct pool *pool, size_t count) MUST_USE;
void pool_clear(struct pool *pool);
/* Somebody waits: when no server is usable, the next attempts to connect come nearer. */
void pool_hurry(struct pool *pool);
/* True when every server is known to be gone. */
bool pool_gone(const struct pool *pool);
/* How much of it is not closed (link.h, `parts`). */
unsigned pool_parts(const struct pool *pool);

#endif
