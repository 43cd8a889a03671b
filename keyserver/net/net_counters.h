/* What the net process counts, for the metrics and the status. Only grows; plain data, loop thread only. */
#ifndef KEYSERVER_NET_NET_COUNTERS_H
#define KEYSERVER_NET_NET_COUNTERS_H

#include "common/channel.h"
#include "common/metrics.h"
#include "proto/operation.h"

/* Index 0 of OP_KINDS counts operations this version does not know. */
struct net_counters {
    counter channels_accepted;               /* authenticated, hello exchanged */
    counter drops[DROP_KINDS];               /* connections that were not authenticated */
    counter accept_pauses;                   /* times that nobody was accepted for want of descriptors */
    counter requests[OP_KINDS];              /* received */
    counter answers[OP_KINDS][STATUS_KINDS]; /* handed to a channel */
    struct histogram duration[OP_KINDS];     /* received → answered, of what the vault worked on */
    counter cancelled;                       /* open when their channel ended */
    counter stray_answers;                   /* from the vault, to a request that is not open any more */
    counter malformed_messages;              /* from edges; each ended its channel */
    counter slow_readers;                    /* channels ended because answers were not read */
    counter vault_restarts;                  /* vaults that replaced one that died */
    counter vault_silences;                  /* times that a vault was there and said nothing */
    counter vault_reloads;                   /* vaults that replaced one that drains */
};

#endif
