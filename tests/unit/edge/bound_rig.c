#include "tests/unit/edge/bound_rig.h"

static enum client_outlook bound_choose_epoch(const struct client *client, struct client_epoch *out);
#define client_choose_epoch bound_choose_epoch
#include "edge/bound/bound_session_id.c"

struct client_epoch bound_announced;
bool bound_due;

static enum client_outlook bound_choose_epoch(const struct client *client, struct client_epoch *out)
{
    (void)client;
    if (bound_announced.id == 0)
        return bound_due ? EPOCH_DUE : EPOCH_NONE;
    *out = bound_announced;
    return EPOCH_CHOSEN;
}

void bound_announce(uint64_t id)
{
    bound_announced.id = id;
    random_bytes(bound_announced.key, sizeof bound_announced.key);
}
