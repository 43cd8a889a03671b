/* A slot: one request of an edge in the form in which it goes through the wall. Pure; any thread. */
#ifndef KEYSERVER_NET_SLOT_H
#define KEYSERVER_NET_SLOT_H

#include "common/address.h"
#include "keyserver/wall/wall.h"
#include "proto/msg.h"

/* Who asks; borrowed. */
struct slot_origin {
    const uint8_t *edge_key;     /* 32 bytes: its static key */
    const uint8_t *channel_hash; /* at least WALL_CHANNEL_SIZE bytes */
    const struct address *from;
};

/* Fills every byte of SLOT: REQUEST of ORIGIN under the name TOKEN, due at DEADLINE_NS of clock_ns(). An
 * IPv4-mapped address counts as IPv4, so that it is judged as such. What the operation points to stays the
 * request's. */
void slot_fill(struct wall_request *slot, uint64_t token, uint64_t deadline_ns,
               const struct msg_request *request, const struct slot_origin *origin);

#endif
