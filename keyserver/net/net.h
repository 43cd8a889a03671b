/* The net process: listeners, channels and messages, and never a TLS key.
 *
 * Everything that the network can send is parsed here. So the only secrets here are the key server's channel
 * identity and the edges' pre-shared keys. */
#ifndef KEYSERVER_NET_NET_H
#define KEYSERVER_NET_NET_H

#include "common/identity.h"
#include "keyserver/rules/server_config.h"

/* What the process is given; all of it is taken. */
struct net_descriptors {
    int control;               /* to the supervisor */
    int edges;                 /* a snapshot of authorized_edges */
    int admin;                 /* the admin endpoint's listener; -1 = none */
    const int *listeners;      /* borrowed array */
    struct identity *identity; /* of the channels; guarded (secret_new()) */
    size_t listener_count;
};

/* The body of the process, after the fork: hardens itself, loads the list of edges, drops to config->user,
 * serves the listeners and the admin endpoint until the supervisor says CONTROL_DRAIN or is gone and all that
 * was open is answered. Returns the exit status: 0 drained, 1 failed, 2 what it needs could not be loaded
 * (logged). */
int net_run(const struct server_config *config, const struct net_descriptors *fds);

#endif
