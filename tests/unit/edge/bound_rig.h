/* For tests of RSA key exchange: an epoch of the test's own in the place of the key servers', below
 * edge/bound/bound_session_id.c, which the rig includes. Not a test itself. */
#ifndef TESTS_UNIT_EDGE_BOUND_RIG_H
#define TESTS_UNIT_EDGE_BOUND_RIG_H

#include "edge/bound/bound.h"
#include "edge/keyclient/client.h"

extern struct client_epoch bound_announced; /* what the key servers have announced; id 0 = nothing */
extern bool bound_due;                      /* and that is not their last word */

/* Announces epoch ID with a key that is new. */
void bound_announce(uint64_t id);

#endif
