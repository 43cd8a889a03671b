/* The state of an edge: what it has open, over all of its channels: requests, bytes that it does not read,
 * and the epoch key it was last given. It lasts while the edge has a channel, whatever a reload does to the
 * list of edges. Loop thread only. */
#ifndef KEYSERVER_NET_EDGE_STATE_H
#define KEYSERVER_NET_EDGE_STATE_H

#include <uthash.h>

#include "common/shares.h"
#include "keyserver/rules/authorized.h"
#include "proto/msg.h"

struct peer;

struct edge_state {
    uint8_t key[IDENTITY_KEY_SIZE]; /* the edge's static key */
    char name[AUTHORIZED_NAME_MAX]; /* as it was when its first channel came */
    struct peer *peers;             /* its channels; the owner's, linked by `edge_next` */
    size_t channels;
    struct share share;             /* of each turn of the loop, for all of them together */
    uint32_t open;                  /* requests in the vault, or on the way there */
    uint32_t lists;                 /* of keys, that the vault makes */
    bool wants_lists;               /* it is in the service's list `wanting` */
    struct edge_state *wants_after; /* the one that is served after this one */
    size_t unsent;                  /* bytes of answers, as last looked at */
    uint64_t epoch_asked;           /* the vault's epoch when it gave this one; 0 = it has not yet */
    struct msg_epoch epoch;         /* the last one; number 0 = the edge has none */
    uint64_t epoch_until_ns;        /* when it is over, of clock_ns() */
    UT_hash_handle hh;              /* in the table */
};

/* Zero-initialised is empty. */
struct edge_states {
    struct edge_state *table; /* owned; by key, which is authenticated: no stranger fills it */
};

/* The state of EDGE, made if there is none; NULL without memory. */
struct edge_state *edge_states_open(struct edge_states *edge_states, const struct authorized_edge *edge);
/* The state of the edge with static key KEY, or NULL. */
struct edge_state *edge_states_find(struct edge_states *edge_states,
                                    const uint8_t key[static IDENTITY_KEY_SIZE]);
/* Forgets EDGE_STATE if it has no channel left. */
void edge_states_close(struct edge_states *edge_states, struct edge_state *edge_state);
size_t edge_states_count(const struct edge_states *edge_states);

#endif
