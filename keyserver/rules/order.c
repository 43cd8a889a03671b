#include "keyserver/rules/order.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd_message.h"

#define DESCRIPTORS (sizeof(struct order_descriptors) / sizeof(int))

static const struct order_descriptors no_descriptors = {-1, -1, -1, -1, -1, -1, -1};

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

int order_send(int fd, enum order_kind kind, const struct order_descriptors *fds)
{
    const uint32_t value = kind;
    int all[DESCRIPTORS];

    if (fds != NULL)
        memcpy(all, fds, sizeof all);
    return fd_message_send(fd, &value, sizeof value, all, fds != NULL ? DESCRIPTORS : 0);
}

int order_receive(int fd, enum order_kind *kind, struct order_descriptors *out)
{
    uint32_t value = 0;
    int all[DESCRIPTORS], err = fd_message_receive(fd, &value, sizeof value, all, DESCRIPTORS);

    memcpy(out, all, sizeof all);
    if (err != 0)
        return err;
    *kind = (enum order_kind)value;
    if (value > 0 && value < ORDER_KINDS && (out->config >= 0) == (value < ORDER_KEEP))
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
    return fd_message_send(fd, answer, sizeof *answer, NULL, 0);
}

int order_answer_receive(int fd, struct order_answer *out)
{
    int err = fd_message_receive(fd, out, sizeof *out, NULL, 0);

    out->why[sizeof out->why - 1] = 0;
    return err;
}
