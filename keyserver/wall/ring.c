#include "keyserver/wall/ring.h"

#include <string.h>

#include "common/secret.h"

_Static_assert((RING_SLOTS & (RING_SLOTS - 1)) == 0, "positions wrap with the ring");
_Static_assert(sizeof(struct ring_slot) == RING_SLOT_SIZE && RING_SLOT_SIZE % RING_LINE == 0,
               "a slot is whole lines");

/* Who goes to sleep says so and then looks once more; who has moved its position looks whether the other
 * sleeps. With all four in one order (sequential consistency), one of the two sees the other. */

static struct ring_slot *slot_at(struct ring *ring, uint32_t position)
{
    return &ring->slot[position % RING_SLOTS];
}

static size_t slots_of(size_t bytes)
{
    return (bytes + RING_SLOT_SIZE - 1) / RING_SLOT_SIZE;
}

/* Where LENGTH bytes from the slot at POSITION on must go on at the ring's beginning. */
static size_t before_end(uint32_t position, size_t length)
{
    size_t left = (RING_SLOTS - position % RING_SLOTS) * (size_t)RING_SLOT_SIZE;
    return length < left ? length : left;
}

/* The other side may write there at any time: the compiler must not read there again instead of the copy. */
static void copy_from_shared(void *out, const void *shared, size_t length)
{
    memcpy(out, shared, length);
    atomic_signal_fence(memory_order_seq_cst);
}

static bool clear_flag(_Atomic uint32_t *flag)
{
    return atomic_load(flag) != 0 && atomic_exchange(flag, 0) != 0;
}

/* ---- producer ---- */

/* Reads how far the other side is: never beyond what it was given, never further back than the ring. */
static int look_for_room(struct ring_producer *producer)
{
    uint32_t taken = atomic_load(&producer->ring->taken);
    if (producer->published - taken > producer->published - producer->taken)
        return ERR_FORMAT;
    producer->taken = taken;
    return 0;
}

static size_t room(const struct ring_producer *producer)
{
    return RING_SLOTS - (producer->at - producer->taken);
}

int ring_put(struct ring_producer *producer, const void *content, size_t length, const void *more,
             size_t more_length)
{
    size_t needed = 1 + slots_of(more_length);
    if (room(producer) < needed && look_for_room(producer) != 0)
        return ERR_FORMAT;
    if (room(producer) < needed)
        return 0;
    struct ring *ring = producer->ring;
    struct ring_slot *slot = slot_at(ring, producer->at);
    slot->sequence = producer->at + 1;
    slot->length = (uint32_t)length;
    memcpy(slot->content, content, length);
    if (more_length > 0) {
        size_t first = before_end(producer->at + 1, more_length);
        memcpy(slot_at(ring, producer->at + 1), more, first);
        memcpy(ring->slot, (const uint8_t *)more + first, more_length - first);
    }
    producer->at += (uint32_t)needed;
    return 1;
}

bool ring_publish(struct ring_producer *producer)
{
    if (producer->published == producer->at)
        return false;
    producer->published = producer->at;
    atomic_store(&producer->ring->put, producer->at);
    return clear_flag(&producer->ring->consumer_sleeps);
}

bool ring_sleep_for_room(struct ring_producer *producer)
{
    atomic_store(&producer->ring->producer_sleeps, 1);
    if (look_for_room(producer) == 0 && room(producer) < RING_SLOTS / 2)
        return true;
    atomic_store(&producer->ring->producer_sleeps, 0);
    return false;
}

/* ---- consumer ---- */

/* Reads how far the other side is: never back, never further than the ring has room. */
static int look_for_slots(struct ring_consumer *consumer)
{
    uint32_t put = atomic_load(&consumer->ring->put);
    if (put - consumer->released > RING_SLOTS ||
        put - consumer->released < consumer->put - consumer->released)
        return ERR_FORMAT;
    consumer->put = put;
    return 0;
}

int ring_count(struct ring_consumer *consumer)
{
    if (consumer->put == consumer->at && look_for_slots(consumer) != 0)
        return ERR_FORMAT;
    return (int)(consumer->put - consumer->at);
}

int ring_take(struct ring_consumer *consumer, void *out, size_t size)
{
    struct ring_slot *slot = slot_at(consumer->ring, consumer->at);
    struct {
        uint32_t sequence, length;
    } head;
    copy_from_shared(&head, slot, sizeof head);
    if (head.sequence != consumer->at + 1 || head.length > size || head.length > RING_CONTENT_MAX)
        return ERR_FORMAT;
    copy_from_shared(out, slot->content, head.length);
    memset((uint8_t *)out + head.length, 0, size - head.length);
    if (consumer->secret)
        wipe(slot->content, head.length);
    consumer->at++;
    return 0;
}

int ring_take_more(struct ring_consumer *consumer, void *out, size_t length)
{
    struct ring *ring = consumer->ring;
    if (length > (size_t)(consumer->put - consumer->at) * RING_SLOT_SIZE)
        return ERR_FORMAT;
    size_t first = before_end(consumer->at, length);
    copy_from_shared(out, slot_at(ring, consumer->at), first);
    copy_from_shared((uint8_t *)out + first, ring->slot, length - first);
    consumer->at += (uint32_t)slots_of(length);
    return 0;
}

void ring_skip(struct ring_consumer *consumer)
{
    consumer->at++;
}

bool ring_release(struct ring_consumer *consumer)
{
    if (consumer->released == consumer->at)
        return false;
    consumer->released = consumer->at;
    atomic_store(&consumer->ring->taken, consumer->at);
    return consumer->put - consumer->at <= RING_SLOTS / 2 && clear_flag(&consumer->ring->producer_sleeps);
}

bool ring_sleep_for_slots(struct ring_consumer *consumer)
{
    atomic_store(&consumer->ring->consumer_sleeps, 1);
    consumer->asleep = true;
    if (ring_count(consumer) == 0)
        return true;
    ring_awake(consumer);
    return false;
}

void ring_awake(struct ring_consumer *consumer)
{
    if (!consumer->asleep)
        return;
    consumer->asleep = false;
    atomic_store_explicit(&consumer->ring->consumer_sleeps, 0, memory_order_relaxed);
}
