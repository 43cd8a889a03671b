#include "keyserver/rules/order.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS (sizeof(struct order_descriptors) / sizeof(int))

static const struct order_descriptors no_descriptors = {-1, -1, -1, -1, -1, -1, -1};

/* Room for the descriptors, aligned as the kernel wants it. */
union ancillary {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(struct order_descriptors))];
};

int order_pair(int fds[static 2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return ERR_SYSTEM;
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0)
        return 0;
    close(fds[0]);
    close(fds[1]);
    return ERR_SYSTEM;
}

int order_memory(void)
{
    int fd = memfd_create("keyless-handover", MFD_CLOEXEC);
    return fd >= 0 ? fd : ERR_SYSTEM;
}

static int send_all(int fd, struct msghdr *header, size_t length)
{
    ssize_t n;
    do {
        n = sendmsg(fd, header, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)length)
        return 0;
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN))
        return ERR_CUT;
    return n < 0 && (errno == EAGAIN || errno == ENOBUFS) ? ERR_BUSY : ERR_SYSTEM;
}

/* One message of LENGTH bytes; anything else is none. */
static int receive_all(int fd, struct msghdr *header, size_t length)
{
    ssize_t n;
    do {
        n = recvmsg(fd, header, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? ERR_BUSY : errno == ECONNRESET ? ERR_CUT : ERR_SYSTEM;
    if (n == 0)
        return ERR_CUT;
    return n == (ssize_t)length && (header->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 ? 0 : ERR_FORMAT;
}

int order_send(int fd, enum order_kind kind, const struct order_descriptors *fds)
{
    uint32_t value = kind;
    struct iovec part = {.iov_base = &value, .iov_len = sizeof value};
    union ancillary ancillary = {.bytes = {0}};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    if (fds != NULL) {
        header.msg_control = ancillary.bytes;
        header.msg_controllen = sizeof ancillary.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof *fds);
        memcpy(CMSG_DATA(c), fds, sizeof *fds);
    }
    return send_all(fd, &header, sizeof value);
}

int order_receive(int fd, enum order_kind *kind, struct order_descriptors *out)
{
    uint32_t value = 0;
    struct iovec part = {.iov_base = &value, .iov_len = sizeof value};
    union ancillary ancillary = {.bytes = {0}};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = ancillary.bytes,
                            .msg_controllen = sizeof ancillary.bytes};

    *out = no_descriptors;
    int err = receive_all(fd, &header, sizeof value);
    if (err != 0)
        return err;
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    bool whole = c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
                 c->cmsg_len == CMSG_LEN(sizeof *out);
    if (whole)
        memcpy(out, CMSG_DATA(c), sizeof *out);
    *kind = (enum order_kind)value;
    if (value > 0 && value < ORDER_KINDS && whole == (value < ORDER_KEEP))
        return 0;
    order_close(out);
    return ERR_FORMAT;
}

void order_close(struct order_descriptors *fds)
{
    int all[DESCRIPTORS] = {fds->config, fds->edges, fds->wall, fds->ready, fds->before, fds->own, fds->gaps};

    for (size_t i = 0; i < DESCRIPTORS; i++)
        if (all[i] >= 0)
            close(all[i]);
    *fds = no_descriptors;
}

int order_answer(int fd, const struct order_answer *answer)
{
    struct order_answer copy = *answer;
    struct iovec part = {.iov_base = &copy, .iov_len = sizeof copy};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    return send_all(fd, &header, sizeof copy);
}

int order_answer_receive(int fd, struct order_answer *out)
{
    struct iovec part = {.iov_base = out, .iov_len = sizeof *out};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    int err = receive_all(fd, &header, sizeof *out);
    out->why[sizeof out->why - 1] = 0;
    return err;
}
