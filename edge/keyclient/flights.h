/* Flights: the open ids of one channel, a table from id to sending. The ids are our own and run one after the
 * other from a random start, so their low bits spread evenly by themselves; what a server sends is only
 * looked up. When memory is short the table stays small and its chains grow. One thread. */
#ifndef EDGE_KEYCLIENT_FLIGHTS_H
#define EDGE_KEYCLIENT_FLIGHTS_H

#include "edge/keyclient/client.h"

struct flights {
    struct client_flight **buckets; /* owned; chains of borrowed flights */
    size_t size;                    /* of the array: a power of two */
    size_t count;
};

int flights_init(struct flights *f) MUST_USE;
/* Forgets all; the flights themselves are their owners'. */
void flights_clear(struct flights *f);
/* FLIGHT->id is not in the table. */
void flights_put(struct flights *f, struct client_flight *flight);
/* The flight called ID, borrowed, or NULL. */
struct client_flight *flights_find(const struct flights *f, uint64_t id);
/* FLIGHT is in the table. */
void flights_remove(struct flights *f, struct client_flight *flight);

#endif
