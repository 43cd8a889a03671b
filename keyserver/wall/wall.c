#include "keyserver/wall/wall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd_message.h"
#include "common/secret.h"
#include "proto/operation_fields.h"

#define SEALS      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define INBOX_SIZE (2 * HANDSHAKE_MAX) /* a batch ends when the next one's messages might not fit */

struct wall_memory {
    struct ring requests; /* net → vault */
    struct ring answers;  /* vault → net */
};

/* Which end a descriptor is: the byte beside which the memory waits in it. */
enum { NET_END = 'n', VAULT_END = 'v' };

_Static_assert(sizeof(struct wall_request) <= RING_CONTENT_MAX &&
                   sizeof(struct wall_answer) <= RING_CONTENT_MAX,
               "a slot of either kind fits a slot of the ring");
_Static_assert(1 + HANDSHAKE_MAX / RING_SLOT_SIZE + 1 <= RING_SLOTS / 2,
               "who was woken for room has it, however long the messages");

/* ---- making ---- */

/* Zeroed, and of a size that nobody can change: a side that cut it short would kill the other. */
static int make_memory(void)
{
    int memory = memfd_create("keyless-wall", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory >= 0 && ftruncate(memory, sizeof(struct wall_memory)) == 0 &&
        fcntl(memory, F_ADD_SEALS, SEALS) == 0)
        return memory;
    if (memory >= 0)
        close(memory);
    return ERR_SYSTEM;
}

/* The memory travels inside the descriptor, so that an end stays one thing for those who only hand it on. */
static int send_memory(int fd, char end, int memory)
{
    return fd_message_send(fd, &end, 1, &memory, 1);
}

int wall_pair(int *net, int *vault)
{
    int fds[2], memory = make_memory();
    if (memory < 0)
        return memory;
    int err = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0 ? 0 : ERR_SYSTEM;
    if (err == 0 &&
        (send_memory(fds[1], NET_END, memory) != 0 || send_memory(fds[0], VAULT_END, memory) != 0)) {
        close(fds[0]);
        close(fds[1]);
        err = ERR_SYSTEM;
    }
    close(memory);
    if (err != 0)
        return err;
    *net = fds[0];
    *vault = fds[1];
    return 0;
}

/* ---- adopting ---- */

static int map_memory(struct wall_memory **out, int memory)
{
    struct stat status;
    if (fstat(memory, &status) != 0 || status.st_size != sizeof **out ||
        (fcntl(memory, F_GET_SEALS) & SEALS) != SEALS)
        return ERR_FORMAT;
    void *at = mmap(NULL, sizeof **out, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (at == MAP_FAILED)
        return ERR_SYSTEM;
    (void)madvise(at, sizeof **out, MADV_DONTDUMP);
    *out = at;
    return 0;
}

static void set_side(struct wall *wall, bool is_net)
{
    struct wall_memory *memory = wall->memory;
    wall->out.ring = is_net ? &memory->requests : &memory->answers;
    wall->in.ring = is_net ? &memory->answers : &memory->requests;
    wall->in.secret = is_net;
}

int wall_adopt(struct wall *wall, int fd)
{
    char end = 0;
    int memory = -1;
    *wall = (struct wall){.fd = fd};
    int err = fd_message_receive(fd, &end, 1, &memory, 1);
    if (err == 0)
        err = end == NET_END || end == VAULT_END ? map_memory(&wall->memory, memory) : ERR_FORMAT;
    if (memory >= 0)
        close(memory);
    if (err == 0)
        set_side(wall, end == NET_END);
    else
        wall_close(wall);
    return err;
}

void wall_close(struct wall *wall)
{
    if (wall->fd >= 0)
        close(wall->fd);
    wall->fd = -1;
    if (wall->memory != NULL)
        munmap(wall->memory, sizeof *wall->memory);
    wall->memory = NULL;
    free(wall->inbox);
    wall->inbox = NULL;
}

int wall_fd(const struct wall *wall)
{
    return wall->fd;
}

/* ---- sleeping and waking ---- */

bool wall_sleep(struct wall *wall, unsigned wishes)
{
    if (wall->cut)
        return false;
    bool sleep = (wishes & WALL_SLOTS) == 0 || ring_sleep_for_slots(&wall->in);
    if (sleep && (wishes & WALL_ROOM) != 0)
        sleep = ring_sleep_for_room(&wall->out);
    return sleep;
}

void wall_woken(struct wall *wall)
{
    uint8_t waste[64];
    ssize_t got = recv(wall->fd, waste, sizeof waste, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        wall->cut = true;
}

/* A socket that takes no byte more has many unread: they wake as well. */
static void wake(struct wall *wall)
{
    if (send(wall->fd, "", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != EINTR)
        wall->cut = true;
}

/* Nothing that the other side says makes sense any more. */
static void distrust(struct wall *wall)
{
    wall->garbage = true;
    wall->cut = true;
}

/* ---- sending ---- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

#define ANSWER_UP_TO(field) offsetof(struct wall_answer, u.field)

/* The bytes of a slot that say something; the receiver finds zeros behind them. */
static size_t request_length(const struct wall_request *slot)
{
    return slot->kind == WALL_OPERATION
               ? offsetof(struct wall_request, operation) + operation_used(&slot->operation)
               : offsetof(struct wall_request, operation.u);
}

static size_t answer_length(const struct wall_answer *slot)
{
    switch (slot->kind) {
    case WALL_OUTCOME:
        return ANSWER_UP_TO(outcome.bytes) + least(slot->u.outcome.length, RESULT_MAX);
    case WALL_KEYS:
        return ANSWER_UP_TO(keys.item) +
               least(slot->u.keys.count, WALL_KEYS_MAX) * sizeof slot->u.keys.item[0];
    case WALL_EPOCH:
        return ANSWER_UP_TO(epoch) + sizeof slot->u.epoch;
    default:
        return sizeof *slot;
    }
}

/* No pointer of this process goes along. */
static int put_with_bytes(struct wall *wall, const struct wall_request *slot,
                          const struct operation_field *borrowed)
{
    struct wall_request bare = *slot;
    size_t length = operation_field_length(&slot->operation, borrowed);
    operation_field_set_bytes(&bare.operation, borrowed, NULL, length);
    return ring_put(&wall->out, &bare, request_length(&bare),
                    operation_field_bytes(&slot->operation, borrowed), least(length, HANDSHAKE_MAX));
}

/* What COUNT slots have come to, of which the last was LAST (1, 0, or an error of the ring). */
static int publish(struct wall *wall, size_t count, int last)
{
    if (last < 0)
        distrust(wall);
    if (ring_publish(&wall->out))
        wake(wall);
    return wall->cut ? ERR_CUT : (int)count;
}

int wall_send_requests(struct wall *wall, const struct wall_request *slots, size_t count)
{
    size_t sent = 0;
    int done = 1;
    while (sent < count && !wall->cut) {
        const struct wall_request *slot = &slots[sent];
        const struct operation_field *borrowed = wall_request_borrowed(slot);
        done = borrowed != NULL ? put_with_bytes(wall, slot, borrowed)
                                : ring_put(&wall->out, slot, request_length(slot), NULL, 0);
        if (done != 1)
            break;
        sent++;
    }
    return publish(wall, sent, done);
}

int wall_send_answers(struct wall *wall, const struct wall_answer *slots, size_t count)
{
    size_t sent = 0;
    int done = 1;
    while (sent < count && !wall->cut) {
        done = ring_put(&wall->out, &slots[sent], answer_length(&slots[sent]), NULL, 0);
        if (done != 1)
            break;
        sent++;
    }
    return publish(wall, sent, done);
}

/* ---- receiving ---- */

/* How many slots there are for at most MAX, or what to return when there is none. */
static int begin_batch(struct wall *wall, size_t max)
{
    ring_awake(&wall->in);
    int count = ring_count(&wall->in);
    if (count < 0)
        distrust(wall);
    if (count <= 0)
        return wall->cut ? ERR_CUT : 0;
    return (size_t)count < max ? count : (int)max;
}

/* TAKEN slots are whole, and the next one is none if ERR says so: what came before it goes first. */
static int end_batch(struct wall *wall, int taken, int err)
{
    if (err == ERR_FORMAT && taken == 0)
        ring_skip(&wall->in);
    if (ring_release(&wall->in))
        wake(wall);
    return taken > 0 ? taken : err;
}

/* What SLOT borrows follows it; bytes that do not are missing, which wall_request_check() sees. */
static void take_bytes(struct wall *wall, struct wall_request *slot, const struct operation_field *borrowed,
                       size_t *used)
{
    size_t length = operation_field_length(&slot->operation, borrowed);
    operation_field_set_bytes(&slot->operation, borrowed, NULL, length);
    if (length == 0 || length > HANDSHAKE_MAX || ring_take_more(&wall->in, wall->inbox + *used, length) != 0)
        return;
    operation_field_set_bytes(&slot->operation, borrowed, wall->inbox + *used, length);
    *used += length;
}

int wall_receive_requests(struct wall *wall, struct wall_request *slots, size_t max)
{
    size_t used = 0;
    if (wall->inbox == NULL && (wall->inbox = malloc(INBOX_SIZE)) == NULL)
        return ERR_MEMORY;
    int taken = 0, err = 0, count = begin_batch(wall, max);
    if (count <= 0)
        return count;
    while (taken < count && INBOX_SIZE - used >= HANDSHAKE_MAX && ring_count(&wall->in) > 0) {
        err = ring_take(&wall->in, &slots[taken], sizeof *slots);
        if (err != 0)
            break;
        const struct operation_field *borrowed = wall_request_borrowed(&slots[taken]);
        if (borrowed != NULL)
            take_bytes(wall, &slots[taken], borrowed, &used);
        taken++;
    }
    return end_batch(wall, taken, err);
}

int wall_receive_answers(struct wall *wall, struct wall_answer *slots, size_t max)
{
    int taken = 0, err = 0, count = begin_batch(wall, max);
    if (count <= 0)
        return count;
    while (taken < count) {
        err = ring_take(&wall->in, &slots[taken], sizeof *slots);
        if (err != 0)
            break;
        taken++;
    }
    return end_batch(wall, taken, err);
}
