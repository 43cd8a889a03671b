/* Origin: the connection to the server behind the edge, in the clear, over TCP or a unix socket; one end of a
 * relay. Non-blocking; keeps no state but the descriptor. Any thread. */
#ifndef EDGE_RELAY_ORIGIN_H
#define EDGE_RELAY_ORIGIN_H

#include "common/address.h"
#include "edge/relay/relay.h"

/* Begins connecting to TO. The descriptor, with *CONNECTED when it need not be waited for (else it becomes
 * writable); ERR_BUSY when a unix socket's queue is full for the moment; ERR_SYSTEM with errno. */
int origin_open(const struct address *to, bool *connected) MUST_USE;
/* How the connecting of FD went: 0, or ERR_SYSTEM with errno. */
int origin_check(int fd) MUST_USE;
/* Makes the coming close of FD a reset, so that the origin does not take a cut for an end. */
void origin_reset(int fd);

/* The relay's end; its user is a pointer to the descriptor. */
extern const struct relay_end_type origin_end;

#endif
