/* One message with file descriptors beside it, over a Unix socket (SCM_RIGHTS, unix(7)).
 *
 * Whoever sends may be hostile: no descriptor is left open that the receiver does not know of. */
#ifndef COMMON_FD_MESSAGE_H
#define COMMON_FD_MESSAGE_H

#include <stddef.h>

#include "common/err.h"

#define FD_MESSAGE_MAX 8 /* descriptors in one message */

/* Sends LENGTH bytes and COUNT descriptors, which stay the caller's. ERR_CUT when the other side is gone,
 * ERR_BUSY when it does not read, ERR_SYSTEM. */
int fd_message_send(int socket, const void *bytes, size_t length, const int *fds, size_t count) MUST_USE;

/* Receives a message of LENGTH bytes with COUNT descriptors, or with none (*FDS is -1 then, COUNT times);
 * they become the caller's. ERR_BUSY when there is none now, ERR_CUT when the other side is gone, ERR_SYSTEM;
 * ERR_FORMAT for anything else, whose descriptors are closed. */
int fd_message_receive(int socket, void *bytes, size_t length, int *fds, size_t count) MUST_USE;

#endif
