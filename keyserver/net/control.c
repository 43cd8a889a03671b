#include "keyserver/net/control.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd_message.h"

int control_pair(int fds[static 2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0 ? 0 : ERR_SYSTEM;
}

int control_send(int fd, enum control_kind kind, uint32_t value, int passed)
{
    const struct control_message message = {.kind = (uint32_t)kind, .value = value};

    return fd_message_send(fd, &message, sizeof message, &passed, passed >= 0 ? 1 : 0);
}

static bool is_known(const struct control_message *message)
{
    return message->kind != 0 && message->kind < CONTROL_KINDS;
}

int control_receive(int fd, struct control_message *out, int *passed)
{
    int err = fd_message_receive(fd, out, sizeof *out, passed, 1);

    if (err == 0 && !is_known(out)) {
        if (*passed >= 0)
            close(*passed);
        *passed = -1;
        err = ERR_FORMAT;
    }
    return err;
}

int control_receive_bare(int fd, struct control_message *out)
{
    int err = fd_message_receive(fd, out, sizeof *out, NULL, 0);

    return err == 0 && !is_known(out) ? ERR_FORMAT : err;
}
