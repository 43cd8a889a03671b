#include "common/fd_message.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Aligned as the kernel wants it. */
union ancillary {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(FD_MESSAGE_MAX * sizeof(int))];
};

int fd_message_send(int socket, const void *bytes, size_t length, const int *fds, size_t count)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes,
                         .iov_len = length}; /* sendmsg() only reads it */
    union ancillary ancillary = {.bytes = {0}};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t n;

    assert(count <= FD_MESSAGE_MAX);
    if (count > 0) {
        ancillary.header = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof *fds)};
        memcpy(CMSG_DATA(&ancillary.header), fds, count * sizeof *fds);
        header.msg_control = ancillary.bytes;
        header.msg_controllen = CMSG_SPACE(count * sizeof *fds);
    }
    do { /* sendmsg() only where it is needed: not every process may */
        n = count > 0 ? sendmsg(socket, &header, MSG_NOSIGNAL) : send(socket, bytes, length, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)length)
        return 0;
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN))
        return ERR_CUT;
    return n < 0 && (errno == EAGAIN || errno == ENOBUFS) ? ERR_BUSY : ERR_SYSTEM;
}

/* Takes at most COUNT descriptors out of HEADER into FDS; returns how many. */
static size_t take_descriptors(struct msghdr *header, int *fds, size_t count)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(header);

    if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t taken = (c->cmsg_len - CMSG_LEN(0)) / sizeof *fds;
    assert(taken <= count); /* there was no room for more */
    memcpy(fds, CMSG_DATA(c), taken * sizeof *fds);
    return taken;
}

int fd_message_receive(int socket, void *bytes, size_t length, int *fds, size_t count)
{
    struct iovec part = {.iov_base = bytes, .iov_len = length};
    union ancillary ancillary = {.bytes = {0}};
    /* Not CMSG_SPACE(): the kernel puts another descriptor into what that adds to align the end. */
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = count > 0 ? ancillary.bytes : NULL,
                            .msg_controllen = count > 0 ? CMSG_LEN(count * sizeof *fds) : 0};
    ssize_t n;

    assert(count <= FD_MESSAGE_MAX);
    for (size_t i = 0; i < count; i++)
        fds[i] = -1;
    do {
        n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? ERR_BUSY : errno == ECONNRESET ? ERR_CUT : ERR_SYSTEM;
    size_t taken = take_descriptors(&header, fds, count);
    if (n == (ssize_t)length && (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
        (taken == 0 || taken == count))
        return 0;
    for (size_t i = 0; i < taken; i++) {
        close(fds[i]);
        fds[i] = -1;
    }
    return n == 0 ? ERR_CUT : ERR_FORMAT;
}
