/* The outbox: answers on their way through the wall, kept in order while the other side is behind. The I/O
 * thread's. */
#ifndef KEYSERVER_VAULT_OUTBOX_H
#define KEYSERVER_VAULT_OUTBOX_H

#include "common/bytes.h"
#include "keyserver/wall/wall.h"

struct outbox {
    struct buffer slots; /* whole wall_answers; wipes what it lets go */
};

/* A zeroed slot at the end, to be filled before the next call; NULL without memory. */
struct wall_answer *outbox_add(struct outbox *outbox);
/* Sends what the wall takes; 0 or ERR_CUT. */
int outbox_flush(struct outbox *outbox, struct wall *wall) MUST_USE;
size_t outbox_count(const struct outbox *outbox); /* slots that wait */
bool outbox_empty(const struct outbox *outbox);
void outbox_clear(struct outbox *outbox);

#endif
