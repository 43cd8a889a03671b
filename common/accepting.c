#include "common/accepting.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* Linux reports the errors that a connection has met while it waited, too (accept(2)). */
static const struct {
    int error;
    enum accept_failure failure;
} known[] = {
    {EAGAIN, ACCEPT_NOBODY},        {ECONNABORTED, ACCEPT_PASSING}, {EINTR, ACCEPT_PASSING},
    {EPROTO, ACCEPT_PASSING},       {EPERM, ACCEPT_PASSING},        {ENETDOWN, ACCEPT_PASSING},
    {ENOPROTOOPT, ACCEPT_PASSING},  {EHOSTDOWN, ACCEPT_PASSING},    {ENONET, ACCEPT_PASSING},
    {EHOSTUNREACH, ACCEPT_PASSING}, {ENETUNREACH, ACCEPT_PASSING},  {ETIMEDOUT, ACCEPT_PASSING},
    {EMFILE, ACCEPT_SHORT},         {ENFILE, ACCEPT_SHORT},         {ENOBUFS, ACCEPT_SHORT},
    {ENOMEM, ACCEPT_SHORT},         {EINVAL, ACCEPT_BROKEN},        {EBADF, ACCEPT_BROKEN},
    {ENOTSOCK, ACCEPT_BROKEN},      {EOPNOTSUPP, ACCEPT_PASSING},
};

_Static_assert(EAGAIN == EWOULDBLOCK, "one row for both");

/* Of a Unix socket that was shut down accept(2) says only that nobody waits, and poll(2) for ever that it is
 * readable. */
static bool is_shut_down(int fd)
{
    struct pollfd socket = {.fd = fd, .events = POLLRDHUP};
    return poll(&socket, 1, 0) == 1;
}

enum accept_failure accept_failure_of(int fd, int error)
{
    if (error == EAGAIN && is_shut_down(fd))
        return ACCEPT_BROKEN;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].error == error)
            return known[i].failure;
    return ACCEPT_LATER;
}
