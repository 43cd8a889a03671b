/* Attempts: the open ids of one channel, a table from id to sending. The ids are our own and run one after
 * the other from a random start, so their low bits spread evenly by themselves; what a server sends is only
 * looked up. When memory is short the table stays small and its chains grow. One thread. */
#ifndef EDGE_KEYCLIENT_ATTEMPTS_H
#define EDGE_KEYCLIENT_ATTEMPTS_H

#include "edge/keyclient/request.h"

struct attempts {
    struct client_attempt **buckets; /* owned; chains of borrowed attempts */
    size_t size;                     /* of the array: a power of two */
    size_t count;
};

int attempts_init(struct attempts *f) MUST_USE;
/* Forgets all; the attempts themselves are their owners'. */
void attempts_clear(struct attempts *f);
/* ATTEMPT->id is not in the table. */
void attempts_put(struct attempts *f, struct client_attempt *attempt);
/* The attempt called ID, borrowed, or NULL. */
struct client_attempt *attempts_find(const struct attempts *f, uint64_t id);
/* ATTEMPT is in the table. */
void attempts_remove(struct attempts *f, struct client_attempt *attempt);

#endif
