#include "edge/relay/origin.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

int origin_open(const struct address *to, bool *connected)
{
    const int on = 1;
    int fd = socket(to->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *connected = false;
    if (fd < 0)
        return ERR_SYSTEM;
    if (!address_is_local(to))
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, &to->u.any, to->length) == 0) {
        *connected = true;
        return fd;
    }
    if (errno == EINPROGRESS || errno == EINTR)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return why == EAGAIN ? ERR_BUSY : ERR_SYSTEM;
}

int origin_check(int fd)
{
    int why = 0;
    socklen_t length = sizeof(why);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &length) != 0)
        return ERR_SYSTEM;
    errno = why;
    return why ? ERR_SYSTEM : 0;
}

void origin_reset(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* ---- the relay's end ---- */

static int origin_read(void *user, uint8_t *into, size_t size, bool *dry)
{
    const int *fd = user;

    for (;;) {
        ssize_t n = recv(*fd, into, size, 0);
        if (n >= 0) {
            *dry = (size_t)n < size;
            return n ? (int)n : RELAY_ENDED;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return RELAY_WANT_READ;
        if (errno != EINTR)
            return RELAY_CUT;
    }
}

static int origin_write(void *user, const uint8_t *bytes, size_t length)
{
    const int *fd = user;

    for (;;) {
        ssize_t n = send(*fd, bytes, length, MSG_NOSIGNAL);
        if (n > 0)
            return (int)n;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return RELAY_WANT_WRITE;
        if (n == 0 || errno != EINTR)
            return RELAY_CUT;
    }
}

static int origin_finish(void *user)
{
    const int *fd = user;

    return shutdown(*fd, SHUT_WR) == 0 ? 1 : RELAY_CUT;
}

const struct relay_end_type origin_end = {
    .read = origin_read,
    .write = origin_write,
    .finish = origin_finish,
};
