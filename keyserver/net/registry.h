/* The peer registry: every channel that is open, by edge. What one edge may hold in all of its channels
 * together, who has to leave when the list of edges changes, and who has which epoch key.
 *
 * Knows no requests: the service cancels what a channel had open. Loop thread only. */
#ifndef KEYSERVER_NET_REGISTRY_H
#define KEYSERVER_NET_REGISTRY_H

#include "keyserver/net/peer.h"
#include "keyserver/net/vault_link.h"

#define REGISTRY_CHANNELS_MAX 256 /* of one edge: one a thread, and as many again while they are replaced */

/* Embedded in the service, which sets `link` and `unsent_max`; the rest zero-initialised is empty. */
struct registry {
    struct vault_link *link; /* borrowed */
    size_t unsent_max;       /* bytes of answers that one edge may leave unread */
    struct edge_states edge_states;
    struct peer *peers; /* all of them; the service's, linked by `all_next` */
    uint64_t epoch;     /* the vault's, for which keys were asked; 0 = none */
};

/* The state of EDGE, for one more channel; NULL without memory or when it has REGISTRY_CHANNELS_MAX already.
 * Follow with registry_enter(), or registry_turn_away() when that does not come about. */
struct edge_state *registry_admit(struct registry *registry, const struct authorized_edge *edge);
void registry_turn_away(struct registry *registry, struct edge_state *edge_state);
void registry_enter(struct registry *registry, struct peer *peer);
void registry_leave(struct registry *registry, struct peer *peer);

/* PEER was given something to send. The channel of its edge that reads least, when all of them together leave
 * more than `unsent_max` unread: the caller's to close; else NULL. */
struct peer *registry_find_slowest(struct registry *registry, struct peer *peer);
/* How much EDGE_STATE leaves unread now, in bytes. */
size_t registry_unsent(struct edge_state *edge_state);
/* A stable word why PEER may not stay when EDGES takes the place of BEFORE (gone, another pre-shared key,
 * not from this address any more); NULL when it may. */
const char *registry_revoked(const struct peer *peer, const struct authorized *edges,
                             const struct authorized *before);

/* PEER has said hello: gives it the epoch key of its edge (or says that it has none), or asks the vault. */
void registry_greet(struct registry *registry, struct peer *peer);
/* The vault is in epoch NUMBER: asks for everybody's key if that is a new one. 0: another vault. */
void registry_begin_epoch(struct registry *registry, uint64_t number);
/* The vault's answer: goes to every channel of the edge. */
void registry_give_epoch(struct registry *registry, const struct wall_answer *answer);

#endif
