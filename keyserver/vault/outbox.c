#include "keyserver/vault/outbox.h"

#include <string.h>

#include "common/secret.h"

struct wall_answer *outbox_add(struct outbox *outbox)
{
    uint8_t *room = buffer_reserve(&outbox->slots, sizeof(struct wall_answer));
    if (room == NULL)
        return NULL;
    memset(room, 0, sizeof(struct wall_answer));
    buffer_commit(&outbox->slots, sizeof(struct wall_answer));
    outbox->held++;
    /* Slots only ever enter and leave whole, so that each begins at a multiple of its size. */
    return (struct wall_answer *)(void *)room;
}

struct wall_answer *outbox_latest(struct outbox *outbox)
{
    if (outbox->latest == 0) {
        struct wall_answer *slot = outbox_add(outbox);
        outbox->latest = slot != NULL ? outbox_count(outbox) : 0;
        return slot;
    }
    uint8_t *first = outbox->slots.bytes + outbox->slots.start;
    struct wall_answer *slot = (struct wall_answer *)(void *)first + (outbox->latest - 1);
    memset(slot, 0, sizeof *slot);
    return slot;
}

void outbox_release(struct outbox *outbox)
{
    outbox->held = 0;
}

void outbox_withhold(struct outbox *outbox)
{
    uint8_t *end = outbox->slots.bytes + outbox->slots.end;
    struct wall_answer *slot = (struct wall_answer *)(void *)end - outbox->held;
    for (; outbox->held > 0; slot++, outbox->held--) {
        if (slot->kind != WALL_OUTCOME)
            continue;
        wipe(&slot->u.outcome, sizeof slot->u.outcome);
        slot->u.outcome.status = STATUS_UNAVAILABLE;
    }
}

/* As in outbox_add(): it begins at a multiple of its size. */
static const struct wall_answer *first_slot(const struct outbox *outbox)
{
    return (const struct wall_answer *)(const void *)buffer_bytes(&outbox->slots);
}

int outbox_flush(struct outbox *outbox, struct wall *wall)
{
    size_t left = outbox_count(outbox) - outbox->held;
    if (left == 0)
        return 0;
    int sent = wall_send_answers(wall, first_slot(outbox), left);
    if (sent < 0)
        return sent;
    buffer_consume(&outbox->slots, (size_t)sent * sizeof(struct wall_answer));
    outbox->latest = outbox->latest > (size_t)sent ? outbox->latest - (size_t)sent : 0;
    return 0;
}

size_t outbox_count(const struct outbox *outbox)
{
    return buffer_length(&outbox->slots) / sizeof(struct wall_answer);
}

bool outbox_empty(const struct outbox *outbox)
{
    return buffer_length(&outbox->slots) == 0;
}

void outbox_clear(struct outbox *outbox)
{
    buffer_clear(&outbox->slots);
}
