#include "keyserver/wall/wall.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BUFFER (4 << 20) /* bytes asked for; the kernel may give less */

int wall_pair(struct wall *net, struct wall *vault)
{
    int fds[2], size = SOCKET_BUFFER;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
        return ERR_SYSTEM;
    for (int i = 0; i < 2; i++)
        (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    wall_adopt(net, fds[0]);
    wall_adopt(vault, fds[1]);
    return 0;
}

void wall_adopt(struct wall *wall, int fd)
{
    wall->fd = fd;
}

void wall_close(struct wall *wall)
{
    if (wall->fd >= 0)
        close(wall->fd);
    wall->fd = -1;
}

int wall_fd(const struct wall *wall)
{
    return wall->fd;
}

static int send_batches(struct wall *wall, const void *slots, size_t slot_size, size_t count)
{
    size_t sent = 0;
    while (sent < count) {
        size_t batch = count - sent < WALL_BATCH_MAX ? count - sent : WALL_BATCH_MAX;
        ssize_t done = send(wall->fd, (const char *)slots + sent * slot_size, batch * slot_size,
                            MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM))
            break;
        if (done < 0)
            return ERR_CUT;
        sent += batch; /* a datagram goes whole or not at all */
    }
    return (int)sent;
}

static int receive_batch(struct wall *wall, void *slots, size_t slot_size, size_t max)
{
    for (;;) {
        ssize_t got = recv(wall->fd, slots, max * slot_size, MSG_TRUNC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (got <= 0)
            return ERR_CUT;
        if ((size_t)got > max * slot_size || (size_t)got % slot_size != 0)
            return ERR_FORMAT;
        return (int)((size_t)got / slot_size);
    }
}

int wall_send_requests(struct wall *wall, const struct wall_request *slots, size_t count)
{
    return send_batches(wall, slots, sizeof *slots, count);
}

int wall_send_answers(struct wall *wall, const struct wall_answer *slots, size_t count)
{
    return send_batches(wall, slots, sizeof *slots, count);
}

int wall_receive_requests(struct wall *wall, struct wall_request *slots, size_t max)
{
    return receive_batch(wall, slots, sizeof *slots, max);
}

int wall_receive_answers(struct wall *wall, struct wall_answer *slots, size_t max)
{
    return receive_batch(wall, slots, sizeof *slots, max);
}

static int check_operation(const struct operation *operation)
{
    switch (operation->kind) {
    case OP_KEYS:
        return 0;
    case OP_SIGN_TLS13:
        return operation->u.sign_tls13.hash_length <= TRANSCRIPT_HASH_MAX ? 0 : ERR_FORMAT;
    case OP_SIGN_TLS12:
        return operation->u.sign_tls12.params_length <= KEY_EXCHANGE_PARAMS_MAX ? 0 : ERR_FORMAT;
    case OP_RSA_PREMASTER:
        return operation->u.rsa_premaster.ciphertext_length <= RSA_MODULUS_MAX ? 0 : ERR_FORMAT;
    default: /* judged as unknown, not malformed: no field of it is looked at */
        return 0;
    }
}

int wall_request_check(const struct wall_request *slot)
{
    if (slot->token == 0)
        return ERR_FORMAT;
    if (slot->from_family != 0 && slot->from_family != AF_INET && slot->from_family != AF_INET6)
        return ERR_FORMAT;
    if (slot->kind == WALL_CANCEL)
        return 0;
    return slot->kind == WALL_OPERATION ? check_operation(&slot->operation) : ERR_FORMAT;
}

static int check_outcome(const struct outcome *outcome)
{
    if (outcome->status < 0 || outcome->status >= STATUS_KINDS || outcome->length > RESULT_MAX)
        return ERR_FORMAT;
    return outcome->status != STATUS_OK && outcome->length != 0 ? ERR_FORMAT : 0;
}

int wall_answer_check(const struct wall_answer *slot)
{
    switch (slot->kind) {
    case WALL_OUTCOME:
        return slot->token == 0 ? ERR_FORMAT : check_outcome(&slot->u.outcome);
    case WALL_KEYS:
        return slot->token == 0 || slot->u.keys.count > WALL_KEYS_MAX || slot->more > 1 ? ERR_FORMAT : 0;
    case WALL_STATS:
        return 0;
    default:
        return ERR_FORMAT;
    }
}

const char *wall_refusal_name(enum wall_refusal refusal)
{
    static const char *const names[REFUSAL_KINDS] = {
        [REFUSAL_NONE] = "none",
        [REFUSAL_MALFORMED_SLOT] = "malformed_slot",
        [REFUSAL_UNKNOWN_EDGE] = "unknown_edge",
        [REFUSAL_FROM] = "from",
        [REFUSAL_UNKNOWN_KEY] = "unknown_key",
        [REFUSAL_KEY_NOT_GRANTED] = "key_not_granted",
        [REFUSAL_OPERATION_NOT_GRANTED] = "operation_not_granted",
        [REFUSAL_UNKNOWN_OPERATION] = "unknown_operation",
        [REFUSAL_SCHEME] = "scheme",
        [REFUSAL_STRUCTURE] = "structure",
    };
    return refusal < REFUSAL_KINDS ? names[refusal] : "unknown";
}
