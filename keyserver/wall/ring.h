/* The ring: slots of one size in memory that two processes share. One of them puts, the other takes.
 *
 * Knows neither what the slots mean nor how a process is woken. Each side treats the other as hostile: the
 * position it reads from there is checked, and what lies in a slot is copied before anybody looks at it,
 * since it may change at any time. What a producer had not published when it died is never seen. Each end
 * belongs to one thread. */
#ifndef KEYSERVER_WALL_RING_H
#define KEYSERVER_WALL_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define RING_SLOTS       256 /* a power of two; positions count on and wrap */
#define RING_SLOT_SIZE   704 /* bytes, of which eight are the head */
#define RING_CONTENT_MAX (RING_SLOT_SIZE - 8)
#define RING_LINE        64 /* bytes of a cache line: what one side writes often is apart from the rest */

struct ring_slot {
    uint32_t sequence; /* its position + 1: what was left there before is no slot */
    uint32_t length;   /* bytes of content */
    uint8_t content[RING_CONTENT_MAX];
};

/* What is shared. Zeroed memory is an empty ring. */
struct ring {
    _Alignas(RING_LINE) _Atomic uint32_t put;   /* published so far; written by the producer */
    _Alignas(RING_LINE) _Atomic uint32_t taken; /* so far; written by the consumer */
    _Alignas(RING_LINE) _Atomic uint32_t consumer_sleeps;
    _Alignas(RING_LINE) _Atomic uint32_t producer_sleeps;
    _Alignas(RING_LINE) struct ring_slot slot[RING_SLOTS];
};

/* A side's own view, which the other cannot touch. */
struct ring_producer {
    struct ring *ring;  /* borrowed */
    uint32_t at;        /* the next slot to fill */
    uint32_t published; /* the other side may see what is before it */
    uint32_t taken;     /* as last read */
};

struct ring_consumer {
    struct ring *ring; /* borrowed */
    uint32_t at;       /* the next slot to take */
    uint32_t released; /* the other side may fill what is before it */
    uint32_t put;      /* as last read */
    bool secret;       /* what is taken is wiped where it lay */
    bool asleep;       /* said so, and took nothing since */
};

/* ---- producer ---- */

/* Fills the next slot with LENGTH (≤ RING_CONTENT_MAX) bytes of CONTENT, and as many further slots as it
 * takes with MORE bytes, which may be none. 1, 0 without room for all of it, or ERR_FORMAT when the other
 * side's position is none that it can have. */
int ring_put(struct ring_producer *producer, const void *content, size_t length, const void *more,
             size_t more_length) MUST_USE;
/* Lets the other side see what was put. True when it sleeps and must be woken, once. */
bool ring_publish(struct ring_producer *producer) MUST_USE;
/* Says that this side sleeps until half of the ring is free. False when it is already, or the other side's
 * position is wrong: then there is no reason to sleep. */
bool ring_sleep_for_room(struct ring_producer *producer) MUST_USE;

/* ---- consumer ---- */

/* How many slots can be taken, or ERR_FORMAT when the other side's position is none that it can have. */
int ring_count(struct ring_consumer *consumer) MUST_USE;
/* With ring_count() above 0: copies the next slot to OUT, SIZE bytes, of which those it does not fill are
 * zeroed. 0, or ERR_FORMAT when it is no slot or longer: it is still the next one. */
int ring_take(struct ring_consumer *consumer, void *out, size_t size) MUST_USE;
/* Copies to OUT the LENGTH bytes that came as `more` with the slot taken last. 0, or ERR_FORMAT when there
 * are not as many: nothing is taken. */
int ring_take_more(struct ring_consumer *consumer, void *out, size_t length) MUST_USE;
/* Passes over the next slot. */
void ring_skip(struct ring_consumer *consumer);
/* Gives back what was taken. True when the other side waits for room and must be woken, once. */
bool ring_release(struct ring_consumer *consumer) MUST_USE;
/* Says that this side sleeps until something is there. False when something is, or the other side's position
 * is wrong: then there is no reason to sleep. */
bool ring_sleep_for_slots(struct ring_consumer *consumer) MUST_USE;
/* It is awake: the other side need not wake it. */
void ring_awake(struct ring_consumer *consumer);

#endif
