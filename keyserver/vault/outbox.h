/* The outbox: answers on their way through the wall, kept in order while the other side is behind. None
 * leaves before it is released: first it must be on record (ledger.h). The I/O thread's. */
#ifndef KEYSERVER_VAULT_OUTBOX_H
#define KEYSERVER_VAULT_OUTBOX_H

#include "common/bytes.h"
#include "keyserver/wall/wall.h"

struct outbox {
    struct buffer slots; /* whole wall_answers; wipes what it lets go */
    size_t held;         /* the last so many are not released yet */
    size_t latest;       /* the one of outbox_latest() is the how manieth, from 1; 0 = none waits */
};

/* A zeroed slot at the end, to be filled before the next call; NULL without memory. */
struct wall_answer *outbox_add(struct outbox *outbox);
/* The same for what nobody has asked for and of which only the latest matters: while such a slot waits, it is
 * this one, zeroed, in its old place, so that a net side that takes nothing makes no more of them. */
struct wall_answer *outbox_latest(struct outbox *outbox);
/* Everything in it may leave. */
void outbox_release(struct outbox *outbox);
/* The same, but what was not released yet leaves as STATUS_UNAVAILABLE if it is an outcome: whatever it was,
 * it is wiped. */
void outbox_withhold(struct outbox *outbox);
/* Sends what was released and the wall takes; 0 or ERR_CUT. */
int outbox_flush(struct outbox *outbox, struct wall *wall) MUST_USE;
size_t outbox_count(const struct outbox *outbox); /* slots that wait */
bool outbox_empty(const struct outbox *outbox);
void outbox_clear(struct outbox *outbox);

#endif
