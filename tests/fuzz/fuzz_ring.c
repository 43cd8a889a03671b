/* Any bytes are what the other side has left in a ring: whoever takes from it gets slots of which every field
 * that passes its check is there, or an error, and who puts into it stays within. The first byte says which
 * side this is; then come the two positions, and then what lies in the slots. */
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/wall/wall.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void look_at(const struct wall_request *slot)
{
    const struct operation *operation = &slot->operation;
    uint8_t *copy;
    if (wall_request_check(slot) != 0 || slot->kind != WALL_OPERATION || operation->kind != OP_RSA_MASTER)
        return;
    must((copy = malloc(operation->u.rsa_master.length)) != NULL);
    memcpy(copy, operation->u.rsa_master.messages, operation->u.rsa_master.length);
    free(copy);
}

static void take_requests(struct wall *vault)
{
    static struct wall_request slots[WALL_BATCH_MAX];
    int count;
    for (unsigned turn = 0; (count = wall_receive_requests(vault, slots, WALL_BATCH_MAX)) != 0; turn++) {
        must(count <= WALL_BATCH_MAX && turn <= RING_SLOTS);
        for (int i = 0; i < count; i++)
            look_at(&slots[i]);
        if (count == ERR_CUT)
            break;
        must(count > 0 || count == ERR_FORMAT);
    }
}

static void take_answers(struct wall *net)
{
    static struct wall_answer slots[WALL_BATCH_MAX];
    int count;
    for (unsigned turn = 0; (count = wall_receive_answers(net, slots, WALL_BATCH_MAX)) != 0; turn++) {
        must(count <= WALL_BATCH_MAX && turn <= RING_SLOTS);
        for (int i = 0; i < count; i++)
            if (wall_answer_check(&slots[i]) == 0 && slots[i].kind == WALL_OUTCOME)
                must(slots[i].u.outcome.length <= RESULT_MAX);
        if (count == ERR_CUT)
            break;
        must(count > 0 || count == ERR_FORMAT);
    }
}

static void put_all(struct wall *wall, bool is_net)
{
    static const uint8_t messages[HANDSHAKE_MAX];
    static const struct wall_request request = {
        .kind = WALL_OPERATION,
        .operation = {.kind = OP_RSA_MASTER, .u.rsa_master = {messages, HANDSHAKE_MAX}}};
    static const struct wall_answer answer = {.kind = WALL_STATS};
    int taken;
    unsigned count = 0;
    do {
        taken = is_net ? wall_send_requests(wall, &request, 1) : wall_send_answers(wall, &answer, 1);
        must(count++ <= 2 * RING_SLOTS); /* the other side may have taken what it was given */
    } while (taken == 1);
    must(taken == 0 || taken == ERR_CUT);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    int fds[2];
    struct wall net, vault;
    uint32_t put, taken;
    if (length < 1 + sizeof put + sizeof taken)
        return 0;
    must(secret_init() == 0 && wall_pair(&fds[0], &fds[1]) == 0);
    must(wall_adopt(&net, fds[0]) == 0 && wall_adopt(&vault, fds[1]) == 0);
    bool is_net = bytes[0] % 2 != 0;
    struct wall *mine = is_net ? &net : &vault;
    memcpy(&put, bytes + 1, sizeof put);
    memcpy(&taken, bytes + 1 + sizeof put, sizeof taken);
    bytes += 1 + sizeof put + sizeof taken;
    length -= 1 + sizeof put + sizeof taken;
    size_t room = sizeof mine->in.ring->slot;
    memcpy(mine->in.ring->slot, bytes, length < room ? length : room);
    mine->in.ring->put = put;
    mine->out.ring->taken = taken;
    if (is_net)
        take_answers(mine);
    else
        take_requests(mine);
    put_all(mine, is_net);
    wall_close(&net);
    wall_close(&vault);
    return 0;
}
