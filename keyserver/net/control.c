#include "keyserver/net/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int control_pair(int fds[static 2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0 ? 0 : ERR_SYSTEM;
}

/* Room for the one descriptor that may come along, aligned as the kernel wants it. */
union control_ancillary {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int control_send(int fd, enum control_kind kind, uint32_t value, int passed)
{
    struct control_message message = {.kind = (uint32_t)kind, .value = value};
    struct iovec part = {.iov_base = &message, .iov_len = sizeof message};
    union control_ancillary ancillary = {.bytes = {0}};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    if (passed >= 0) {
        header.msg_control = ancillary.bytes;
        header.msg_controllen = sizeof ancillary.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof passed);
        memcpy(CMSG_DATA(c), &passed, sizeof passed);
    }
    ssize_t n;
    do {
        n = sendmsg(fd, &header, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof message)
        return 0;
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN))
        return ERR_CUT;
    return n < 0 && (errno == EAGAIN || errno == ENOBUFS) ? ERR_BUSY : ERR_SYSTEM;
}

static int passed_descriptor(struct msghdr *header)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(header);
    int fd = -1;

    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

int control_receive(int fd, struct control_message *out, int *passed)
{
    struct iovec part = {.iov_base = out, .iov_len = sizeof *out};
    union control_ancillary ancillary = {.bytes = {0}};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = ancillary.bytes,
                            .msg_controllen = sizeof ancillary.bytes};
    ssize_t n;

    *passed = -1;
    do {
        n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? ERR_BUSY : errno == ECONNRESET ? ERR_CUT : ERR_SYSTEM;
    if (n == 0)
        return ERR_CUT;
    *passed = passed_descriptor(&header);
    if (n == (ssize_t)sizeof *out && (header.msg_flags & MSG_TRUNC) == 0 && out->kind != 0 &&
        out->kind < CONTROL_KINDS)
        return 0;
    if (*passed >= 0)
        close(*passed);
    *passed = -1;
    return ERR_FORMAT;
}
