/* A slot: one request of an edge in the form in which it goes through the wall. Pure; any thread. */
#ifndef KEYSERVER_NET_SLOT_H
#define KEYSERVER_NET_SLOT_H

#include "common/address.h"
#include "keyserver/wall/wall.h"
#include "proto/msg.h"

/* Who asks, under which name and until when; pointers are borrowed. */
struct slot_origin {
    uint64_t token;              /* the net side's name for the request */
    uint64_t deadline_ns;        /* of clock_ns() */
    const uint8_t *edge_key;     /* IDENTITY_KEY_SIZE bytes: its static key */
    const uint8_t *channel_hash; /* at least CHANNEL_NAME_SIZE bytes */
    const struct address *from;
};

/* Fills every byte of SLOT: REQUEST of ORIGIN. An IPv4-mapped address counts as IPv4, so that it is judged as
 * such. What the operation points to stays the request's. */
void slot_fill(struct wall_request *slot, const struct msg_request *request,
               const struct slot_origin *origin);

#endif
