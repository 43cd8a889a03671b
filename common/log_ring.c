#include "common/log_ring.h"

#include <string.h>

#define QUARTER (LOG_RING_SIZE / 4)

_Static_assert((LOG_RING_SIZE & (LOG_RING_SIZE - 1)) == 0, "positions wrap with the ring");

void log_ring_clear(struct log_ring *ring)
{
    ring->head = ring->tail = 0;
    ring->shedding = false;
}

size_t log_ring_fill(const struct log_ring *ring)
{
    return (size_t)(ring->head - ring->tail);
}

bool log_ring_has_room(const struct log_ring *ring)
{
    size_t room = LOG_RING_SIZE - log_ring_fill(ring);
    return room >= (ring->shedding ? QUARTER : LOG_PIECE_SIZE);
}

/* The bytes from POSITION on that lie in one piece, LENGTH at most. */
static size_t in_one_piece(uint64_t position, size_t length)
{
    size_t left = LOG_RING_SIZE - (size_t)(position % LOG_RING_SIZE);
    return length < left ? length : left;
}

int log_ring_put(struct log_ring *ring, const char *lines, size_t length)
{
    if (length > LOG_PIECE_SIZE)
        return ERR_LENGTH;
    ring->shedding = !log_ring_has_room(ring);
    if (ring->shedding)
        return ERR_BUSY;
    size_t first = in_one_piece(ring->head, length);
    memcpy(ring->bytes + ring->head % LOG_RING_SIZE, lines, first);
    memcpy(ring->bytes, lines + first, length - first);
    ring->head += length;
    return 0;
}

size_t log_ring_take(struct log_ring *ring, char out[static LOG_PIECE_SIZE])
{
    size_t fill = log_ring_fill(ring);
    size_t length = fill < LOG_PIECE_SIZE ? fill : LOG_PIECE_SIZE;
    size_t first = in_one_piece(ring->tail, length);
    memcpy(out, ring->bytes + ring->tail % LOG_RING_SIZE, first);
    memcpy(out + first, ring->bytes, length - first);
    while (length > 0 && out[length - 1] != '\n') /* the rest of a line goes with the next piece */
        length--;
    ring->tail += length;
    return length;
}
