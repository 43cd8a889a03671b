#include "keyserver/wall/wall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define SOCKET_BUFFER (4 << 20) /* bytes asked for; the kernel may give less */
#define INBOX_SIZE    (HANDSHAKE_MAX > SLOTS_REST ? HANDSHAKE_MAX : SLOTS_REST)
#define SLOTS_REST    ((WALL_BATCH_MAX - 1) * sizeof(struct wall_request))

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
    *wall = (struct wall){.fd = fd};
}

void wall_close(struct wall *wall)
{
    if (wall->fd >= 0)
        close(wall->fd);
    wall->fd = -1;
    free(wall->inbox);
    wall->inbox = NULL;
}

int wall_fd(const struct wall *wall)
{
    return wall->fd;
}

/* One datagram of SLOTS and then BYTES. 1 when it went, 0 when the other side is behind, or ERR_CUT. */
static int send_datagram(struct wall *wall, const void *slots, size_t size, const uint8_t *bytes,
                         size_t length)
{
    union {
        const void *from;
        void *to;
    } parts[2] = {{.from = slots}, {.from = bytes}}; /* sendmsg(2) writes to neither */
    struct iovec iov[2] = {{parts[0].to, size}, {parts[1].to, length}};
    struct msghdr header = {.msg_iov = iov, .msg_iovlen = length > 0 ? 2 : 1};
    for (;;) {
        if (sendmsg(wall->fd, &header, MSG_NOSIGNAL) >= 0)
            return 1; /* it goes whole or not at all */
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)
            return 0;
        return ERR_CUT;
    }
}

static bool has_messages(const struct wall_request *slot)
{
    return slot->kind == WALL_OPERATION && slot->operation.kind == OP_RSA_MASTER;
}

/* The slots from the first on that go in one datagram: one with handshake messages goes alone. */
static size_t batch_length(const struct wall_request *slots, size_t count)
{
    size_t length = 0;
    while (length < count && length < WALL_BATCH_MAX && !has_messages(&slots[length]))
        length++;
    return length > 0 ? length : 1;
}

/* No pointer of this process goes along. */
static int send_with_messages(struct wall *wall, const struct wall_request *slot)
{
    struct wall_request bare = *slot;
    bare.operation.u.rsa_master.messages = NULL;
    return send_datagram(wall, &bare, sizeof bare, slot->operation.u.rsa_master.messages,
                         slot->operation.u.rsa_master.length);
}

int wall_send_requests(struct wall *wall, const struct wall_request *slots, size_t count)
{
    size_t sent = 0;
    while (sent < count) {
        size_t batch = batch_length(slots + sent, count - sent);
        int done = has_messages(&slots[sent])
                       ? send_with_messages(wall, &slots[sent])
                       : send_datagram(wall, slots + sent, batch * sizeof *slots, NULL, 0);
        if (done < 0)
            return done;
        if (done == 0)
            break;
        sent += batch;
    }
    return (int)sent;
}

int wall_send_answers(struct wall *wall, const struct wall_answer *slots, size_t count)
{
    size_t sent = 0;
    while (sent < count) {
        size_t batch = count - sent < WALL_BATCH_MAX ? count - sent : WALL_BATCH_MAX;
        int done = send_datagram(wall, slots + sent, batch * sizeof *slots, NULL, 0);
        if (done < 0)
            return done;
        if (done == 0)
            break;
        sent += batch;
    }
    return (int)sent;
}

/* One datagram into IOV. Its length, 0 for nothing now, ERR_CUT, or ERR_FORMAT when it was longer. */
static ssize_t receive_datagram(struct wall *wall, struct iovec *iov, size_t count)
{
    struct msghdr header = {.msg_iov = iov, .msg_iovlen = count};
    for (;;) {
        ssize_t got = recvmsg(wall->fd, &header, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (got <= 0)
            return ERR_CUT;
        return (header.msg_flags & MSG_TRUNC) != 0 ? ERR_FORMAT : got;
    }
}

/* What was behind the first slot: further slots, or its handshake messages. */
static int take_rest(struct wall_request *slots, size_t max, uint8_t *rest, size_t length)
{
    struct operation *operation = &slots->operation;
    if (has_messages(slots)) {
        if (operation->u.rsa_master.length != length)
            return ERR_FORMAT;
        operation->u.rsa_master.messages = rest;
        return 1;
    }
    size_t more = length / sizeof *slots;
    if (length % sizeof *slots != 0 || more + 1 > max)
        return ERR_FORMAT;
    memcpy(slots + 1, rest, length);
    for (size_t i = 1; i <= more; i++) /* these have come without theirs */
        if (has_messages(&slots[i]))
            slots[i].operation.u.rsa_master.messages = NULL;
    return 1 + (int)more;
}

int wall_receive_requests(struct wall *wall, struct wall_request *slots, size_t max)
{
    if (wall->inbox == NULL && (wall->inbox = malloc(INBOX_SIZE)) == NULL)
        return ERR_MEMORY;
    struct iovec iov[2] = {{slots, sizeof *slots}, {wall->inbox, INBOX_SIZE}};
    ssize_t got = receive_datagram(wall, iov, 2);
    if (got <= 0)
        return (int)got;
    if ((size_t)got < sizeof *slots)
        return ERR_FORMAT;
    return take_rest(slots, max, wall->inbox, (size_t)got - sizeof *slots);
}

int wall_receive_answers(struct wall *wall, struct wall_answer *slots, size_t max)
{
    struct iovec iov = {slots, max * sizeof *slots};
    ssize_t got = receive_datagram(wall, &iov, 1);
    if (got <= 0)
        return (int)got;
    return (size_t)got % sizeof *slots != 0 ? ERR_FORMAT : (int)((size_t)got / sizeof *slots);
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
    case OP_RSA_MASTER:
        return operation->u.rsa_master.messages != NULL && operation->u.rsa_master.length > 0 &&
                       operation->u.rsa_master.length <= HANDSHAKE_MAX
                   ? 0
                   : ERR_FORMAT;
    default: /* judged as unknown, not malformed: no field of it is looked at */
        return 0;
    }
}

int wall_request_check(const struct wall_request *slot)
{
    if (slot->token == 0 && slot->kind != WALL_EPOCH_WANTED)
        return ERR_FORMAT;
    if (slot->from_family != 0 && slot->from_family != AF_INET && slot->from_family != AF_INET6)
        return ERR_FORMAT;
    if (slot->kind == WALL_CANCEL || slot->kind == WALL_EPOCH_WANTED)
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
    case WALL_EPOCH:
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
        [REFUSAL_VALIDITY] = "not_valid_now",
        [REFUSAL_UNKNOWN_KEY] = "unknown_key",
        [REFUSAL_KEY_NOT_GRANTED] = "key_not_granted",
        [REFUSAL_OPERATION_NOT_GRANTED] = "operation_not_granted",
        [REFUSAL_MODE] = "mode_not_granted",
        [REFUSAL_UNKNOWN_OPERATION] = "unknown_operation",
        [REFUSAL_SCHEME] = "scheme",
        [REFUSAL_STRUCTURE] = "structure",
        [REFUSAL_SESSION_ID] = "session_id_not_live",
        [REFUSAL_NAME] = "name_not_granted",
        [REFUSAL_RATE] = "rate",
        [REFUSAL_QUOTA] = "quota",
        [REFUSAL_AUDIT] = "audit_unavailable",
    };
    return refusal < REFUSAL_KINDS ? names[refusal] : "unknown";
}
