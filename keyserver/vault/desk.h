/* The desk: takes slots from the wall, has them judged, gives them to the workers, has what comes of them
 * recorded and answers it. The vault's I/O thread. */
#ifndef KEYSERVER_VAULT_DESK_H
#define KEYSERVER_VAULT_DESK_H

#include "keyserver/vault/audit/handover.h"
#include "keyserver/vault/audit/ledger.h"
#include "keyserver/vault/compute/workers.h"
#include "keyserver/vault/judge/epoch.h"
#include "keyserver/vault/judge/judge.h"
#include "keyserver/vault/judge/listing.h"
#include "keyserver/vault/outbox.h"

/* What to think of a slot, or a ring, that no sound net process would have written. */
#define DESK_MALFORMED_HINT "the net process is not what it was; is it taken over?"

struct desk {
    struct judge judge;
    struct wall *wall;          /* borrowed */
    struct workers *workers;    /* borrowed */
    struct handover *handover;  /* borrowed */
    struct grant_cache *grants; /* owned */
    struct listing *listing;    /* owned */
    struct ledger ledger;
    struct epoch_clock epochs;
    struct now now;
    uint64_t announced; /* the last epoch of which edges may have the key; 0 = none yet */
    struct outbox outbox;
    struct wall_stats stats;
    uint64_t stats_due_ms; /* of clock_ms() */
};

/* With judge, wall, workers, handover and ledger set and the rest zeroed: begins. ERR_MEMORY. */
int desk_start(struct desk *desk, uint64_t epoch_length_ms) MUST_USE;
/* Time passes: epochs turn, figures fall due. True when there is work for desk_do_short(): an epoch has
 * begun, and edges wait for its key. */
bool desk_tick(struct desk *desk);
/* How long until the next tick is due, in ms. */
int desk_timeout(const struct desk *desk);
/* Takes what the wall has; ERR_CUT when the net side is gone. */
int desk_take_requests(struct desk *desk) MUST_USE;
/* Answers what the workers have done. */
void desk_take_finished(struct desk *desk);
/* Does some of the short work that waits, itself: lists of keys, epoch keys, and what lanes make quick. True
 * when more of it waits. */
bool desk_do_short(struct desk *desk);
/* Puts on record what was decided, then sends what the wall takes; 0 or ERR_CUT. While some is left, no
 * further request should be taken. */
int desk_flush(struct desk *desk) MUST_USE;
bool desk_is_behind(const struct desk *desk);
void desk_clear(struct desk *desk);

#endif
