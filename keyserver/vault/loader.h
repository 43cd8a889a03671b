/* The loader: a process that holds the keys and uses none. It loads what the vaults work with, and forks each
 * of them with all of it, so that a vault is there at once however many keys there are, and a reload reads no
 * file but those that have changed.
 *
 * It has no socket but the one to the supervisor, no wall and no thread, and opens only files that the owner
 * of the keys wrote. */
#ifndef KEYSERVER_VAULT_LOADER_H
#define KEYSERVER_VAULT_LOADER_H

#include <sys/types.h>

#include "keyserver/rules/server_config.h"

/* The body of the process, after the fork from SUPERVISOR, whose orders (order.h) come by FD, which is taken.
 * CONFIG says how to log until an order brings another. Ends when FD does; returns the exit status. In a
 * process that it has forked it does not return. */
int loader_run(const struct server_config *config, pid_t supervisor, int fd);

#endif
