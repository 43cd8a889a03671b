/* Targets: the addresses of one key server, tried one after the other (RFC 8305 in spirit: of both families
 * in turn, none for long while others are left). A round tries each once; between rounds the back-off waits
 * and the name is looked up again.
 *
 * Knows no clock, no timer and no socket. Pure; one thread. */
#ifndef EDGE_KEYCLIENT_TARGETS_H
#define EDGE_KEYCLIENT_TARGETS_H

#include "common/names.h"

#define TARGETS_FIRST_MS 1500 /* for one of several addresses in the first round; doubles with each round */

struct targets {
    struct name_answer answer; /* of the present round */
    size_t next;
    unsigned rounds; /* begun since it worked last */
};

/* A round with what is known of PLACE. */
void targets_begin(struct targets *t, const struct endpoint *endpoint);
/* The next address of the round, borrowed; NULL when it is over. */
const struct address *targets_next(struct targets *t);
/* True when the round has more. */
bool targets_left(const struct targets *t);
/* How long the one that targets_next() returned last may take, at most FULL_MS: long enough in the end for
 * the slowest way. */
uint64_t targets_patience_ms(const struct targets *t, uint64_t full_ms);
/* One of them works. */
void targets_reset(struct targets *t);

#endif
