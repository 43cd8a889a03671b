/* The vault's memory stays in memory: none of its keys is ever written to swap space. */
#ifndef KEYSERVER_VAULT_MEMORY_LOCK_H
#define KEYSERVER_VAULT_MEMORY_LOCK_H

#include <stdbool.h>

#include "common/err.h"

/* Locks what is loaded into memory. Before the user is dropped: as root, and with CAP_IPC_LOCK, no limit
 * counts; else RLIMIT_MEMLOCK does, which is raised as far as it goes. False when it cannot be locked. */
bool memory_lock(void) MUST_USE;

#endif
