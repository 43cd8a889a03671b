/* What the channels of one event loop may read in one turn of it: shares.h for its channels, by party.
 *
 * All channels of a party together get one share of a turn (shares.h). Connections that are not authenticated
 * yet form one common party; afterwards the owner assigns a channel to its party (channel_set_share). Loop
 * thread only. */
#ifndef COMMON_CHANNEL_SHARES_H
#define COMMON_CHANNEL_SHARES_H

#include <uv.h>

#include "common/shares.h"

/* Of one loop; embedded in what outlives its listeners and channels. Do not move it. */
struct channel_shares {
    struct shares parties;
    struct share strangers;
    uv_check_t check; /* a turn ends */
    uv_idle_t idle;   /* serves those who wait; runs while there are any, so that the loop does not sleep */
};

void channel_shares_start(struct channel_shares *shares, uv_loop_t *loop);
/* No channel waits any more. The memory is the caller's to keep until the loop has closed its handles. */
void channel_shares_close(struct channel_shares *shares);

#endif
