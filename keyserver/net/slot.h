/* A slot: one request of an edge in the form in which it goes through the wall. Pure; any thread. */
#ifndef KEYSERVER_NET_SLOT_H
#define KEYSERVER_NET_SLOT_H

#include "common/address.h"
#include "keyserver/wall/wall.h"
#include "proto/msg.h"

/* Fills every byte of SLOT: REQUEST under the name TOKEN, due at DEADLINE_NS of clock_ns(), asked by the edge
 * with static key EDGE_KEY from the address FROM. An IPv4-mapped address counts as IPv4, so that it is judged
 * as such. */
void slot_fill(struct wall_request *slot, uint64_t token, uint64_t deadline_ns,
               const struct msg_request *request, const uint8_t edge_key[static 32],
               const struct address *from);

#endif
