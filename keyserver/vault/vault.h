/* The vault process: holds the keys, judges every request that comes through the wall, computes, checks,
 * answers.
 *
 * No network socket, no protobuf, no libuv. One I/O thread polls the wall; a pool of workers computes. */
#ifndef KEYSERVER_VAULT_VAULT_H
#define KEYSERVER_VAULT_VAULT_H

#include "keyserver/question.h"
#include "keyserver/server_config.h"

/* The body of the process, after the fork: hardens itself, loads authorized_edges, the group secret and the
 * keys, drops to config->user, writes one byte to READY_FD and closes it, then serves WALL_FD until the other
 * end is closed and everything begun is done. Returns the exit status: 0 done, 2 when what it needs could not
 * be loaded (logged). WALL_FD and READY_FD are taken. */
int vault_run(const struct server_config *config, int wall_fd, int ready_fd);

/* The body of a process that loads the same and serves nothing: writes to standard output why QUESTION is
 * granted or refused (explain.h). Returns the exit status: 0 granted, 4 refused, 1 it could not be written, 2
 * as above. */
int vault_explain(const struct server_config *config, const struct question *question);

#endif
