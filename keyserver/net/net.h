/* The net process: listeners, channels and messages, and never a TLS key.
 *
 * Everything a stranger can send is parsed here, so nothing is here that is worth stealing but the key
 * server's channel identity. */
#ifndef KEYSERVER_NET_NET_H
#define KEYSERVER_NET_NET_H

#include "keyserver/server_config.h"

/* The body of the process, after the fork: hardens itself, loads the identity and authorized_edges, drops to
 * config->user, serves LISTENERS and, unless it is -1, the admin endpoint ADMIN_FD, until CONTROL_FD says
 * CONTROL_DRAIN or is cut and all that was open is answered. All descriptors are taken. Returns the exit
 * status: 0 drained, 1 failed, 2 what it needs could not be loaded (logged). */
int net_run(const struct server_config *config, const int *listeners, size_t listener_count, int admin_fd,
            int control_fd);

#endif
