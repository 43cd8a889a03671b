/* What tests need of a wall: both ends in one process, sleep, and a slot that is well formed. */
#ifndef TESTS_UNIT_KEYSERVER_WALL_RIG_H
#define TESTS_UNIT_KEYSERVER_WALL_RIG_H

#include <poll.h>
#include <string.h>

#include "keyserver/wall/wall.h"

/* A wall with both ends adopted. */
static inline int wall_rig_pair(struct wall *net, struct wall *vault)
{
    int net_fd, vault_fd;
    int err = wall_pair(&net_fd, &vault_fd);
    if (err == 0)
        err = wall_adopt(net, net_fd);
    return err != 0 ? err : wall_adopt(vault, vault_fd);
}

/* Sleeps until a WISH may be fulfilled or the other side is gone; false when TIMEOUT_MS have passed. */
static inline bool wall_rig_wait(struct wall *wall, unsigned wishes, int timeout_ms)
{
    struct pollfd fd = {.fd = wall_fd(wall), .events = POLLIN};
    if (!wall_sleep(wall, wishes))
        return true;
    if (poll(&fd, 1, timeout_ms) != 1)
        return false;
    wall_woken(wall);
    return true;
}

/* The shortest request that there is. */
static inline struct wall_request wall_rig_request(uint64_t token)
{
    struct wall_request slot;
    memset(&slot, 0, sizeof slot);
    slot.token = token;
    slot.kind = WALL_OPERATION;
    slot.operation.kind = OP_KEYS;
    return slot;
}

#endif
