/* Turns: what the channels of one loop may read in one turn of it, by party and not by channel.
 *
 * All channels of a party together get one share of a turn (shares.h). Connections that are not authenticated
 * yet form one common party; afterwards the owner assigns a channel to its party (channel_set_share). Loop
 * thread only. */
#ifndef COMMON_CHANNEL_TURNS_H
#define COMMON_CHANNEL_TURNS_H

#include <uv.h>

#include "common/shares.h"

/* Of one loop; embedded in what outlives its listeners and channels. Do not move it. */
struct channel_turns {
    struct shares shares;
    struct share strangers;
    uv_check_t check; /* a turn ends */
    uv_idle_t idle;   /* serves those who wait; runs while there are any, so that the loop does not sleep */
};

void channel_turns_start(struct channel_turns *turns, uv_loop_t *loop);
/* No channel waits any more. The memory is the caller's to keep until the loop has closed its handles. */
void channel_turns_close(struct channel_turns *turns);

#endif
