/* Epochs: what the key servers have announced for bound mode, the keys that mark new sessions of TLS 1.2 RSA
 * key exchange (proto/session_id.h), and the choice of one for a new session.
 *
 * Makes no session ids and knows no channels; time comes from outside. One thread. */
#ifndef EDGE_KEYCLIENT_EPOCHS_H
#define EDGE_KEYCLIENT_EPOCHS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/msg.h"

#define EPOCHS_KEPT 2 /* of each key server: sessions marked in the last but one are still accepted */

struct epoch {
    uint64_t id; /* the same at every key server that announced this number with this key; 0 = no epoch */
    uint64_t number;
    uint64_t fresh_ns; /* until then a session that begins has time for its handshake */
    uint64_t end_ns;   /* from then on it is not accepted any more */
    uint8_t key[EPOCH_KEY_SIZE];
};

/* In guarded memory. */
struct epochs {
    uint64_t handshake_ns; /* what a session may need from its first message to its key operation */
    uint64_t last_id;
    size_t count; /* key servers */
    struct {
        struct epoch kept[EPOCHS_KEPT]; /* the newest first */
        bool connected;                 /* has an open channel */
        bool none;                      /* and its last word on that channel was that this edge has none */
    } server[];
};

/* For COUNT key servers; NULL without memory. */
struct epochs *epochs_new(size_t count, uint64_t handshake_ns);
/* Wipes; NULL is allowed. */
void epochs_free(struct epochs *epochs);

/* SERVER (a number below `count`) has an open channel from now on, or none any more. What it has announced
 * stays; that this edge has none is to be said on every channel anew. */
void epochs_connect(struct epochs *epochs, size_t server, bool connected);
/* Takes what SERVER, which is connected, has said at NOW_NS. The same number and key again bring a new end, a
 * higher number a new epoch. Anything else is a correction: what was said before is forgotten. Number 0 is
 * one, too: this edge has no epoch there any more. */
void epochs_put(struct epochs *epochs, size_t server, const struct msg_epoch *announced, uint64_t now_ns);
/* Wipes what is over at NOW_NS. */
void epochs_turn(struct epochs *epochs, uint64_t now_ns);

/* The epoch for a session that begins at NOW_NS, borrowed; NULL when there is none. One that most connected
 * servers know and that lasts for a whole handshake, the highest number among equals. What is nearly over is
 * better than nothing; and so is what only servers that are not connected know, unless a connected one has
 * none for this edge, for it is the one to be asked. */
const struct epoch *epochs_choose(const struct epochs *epochs, uint64_t now_ns);
/* True when SERVER has announced the epoch ID, which is not 0, and it is not over. */
bool epochs_know(const struct epochs *epochs, size_t server, uint64_t id);

/* What may be wrong between two key servers that should be replicas. */
enum epochs_conflict {
    EPOCHS_AGREE,
    EPOCHS_SECRETS, /* another key for the same number: their group secrets differ */
    EPOCHS_CLOCKS,  /* numbers more than one apart: their clocks differ, or the lengths of their epochs */
    EPOCHS_CONFLICTS
};
/* Compares the newest epoch of SERVER with those of the other connected ones; OTHER becomes the first of them
 * that disagrees. */
enum epochs_conflict epochs_compare(const struct epochs *epochs, size_t server, uint64_t now_ns,
                                    size_t *other) MUST_USE;

#endif
