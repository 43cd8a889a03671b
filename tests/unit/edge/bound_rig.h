/* For tests of RSA key exchange: edge/bound/bound_session_id.c itself, with an epoch of the test's own below
 * it. Not a test itself. */
#ifndef TESTS_UNIT_EDGE_BOUND_RIG_H
#define TESTS_UNIT_EDGE_BOUND_RIG_H

#define client_choose_epoch bound_choose_epoch
#include "edge/bound/bound_session_id.c"
#undef client_choose_epoch

/* What the key servers have announced; id 0 = nothing. */
static struct client_epoch bound_announced;
static bool bound_due; /* and that is not their last word */

enum client_outlook bound_choose_epoch(const struct client *client, struct client_epoch *out)
{
    (void)client;
    if (bound_announced.id == 0)
        return bound_due ? EPOCH_DUE : EPOCH_NONE;
    *out = bound_announced;
    return EPOCH_CHOSEN;
}

static inline void bound_announce(uint64_t id)
{
    bound_announced.id = id;
    random_bytes(bound_announced.key, sizeof bound_announced.key);
}

#endif
