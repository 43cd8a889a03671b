#include "edge/session/trace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct trace_ring {
    pthread_mutex_t lock;
    uint64_t serial; /* of the newest record; serial % TRACE_RING_SIZE is its place */
    struct trace_record record[TRACE_RING_SIZE];
};

struct trace_ring *trace_new(void)
{
    struct trace_ring *ring = calloc(1, sizeof(*ring));

    if (ring)
        pthread_mutex_init(&ring->lock, NULL);
    return ring;
}

void trace_free(struct trace_ring *ring)
{
    if (!ring)
        return;
    pthread_mutex_destroy(&ring->lock);
    free(ring);
}

void trace_mark(struct trace_record *record, enum trace_point point, uint64_t now_ns)
{
    uint64_t since = now_ns > record->accepted_ns ? now_ns - record->accepted_ns : 0;

    record->at[point] = since ? since : 1;
}

void trace_put(struct trace_ring *ring, struct trace_record *record)
{
    pthread_mutex_lock(&ring->lock);
    if (record->serial == 0)
        record->serial = ++ring->serial;
    struct trace_record *place = &ring->record[record->serial % TRACE_RING_SIZE];
    if (place->serial <= record->serial)
        *place = *record;
    pthread_mutex_unlock(&ring->lock);
}

int trace_find(struct trace_ring *ring, const uint8_t client_random[static TLS_RANDOM_SIZE],
               struct trace_record *out)
{
    const struct trace_record *found = NULL;

    pthread_mutex_lock(&ring->lock);
    for (size_t i = 0; i < TRACE_RING_SIZE; i++) {
        const struct trace_record *record = &ring->record[i];
        if (record->serial != 0 && (!found || record->serial > found->serial) &&
            memcmp(record->client_random, client_random, TLS_RANDOM_SIZE) == 0)
            found = record;
    }
    if (found)
        *out = *found;
    pthread_mutex_unlock(&ring->lock);
    return found ? 0 : ERR_NOT_FOUND;
}

const char *trace_point_name(enum trace_point point)
{
    static const char *const names[TRACE_POINTS] = {
        [TRACE_CLIENT_HELLO] = "client_hello",
        [TRACE_EPOCH_BEGUN] = "epoch_begun",
        [TRACE_EPOCH_ENDED] = "epoch_ended",
        [TRACE_KEY_BEGUN] = "key_begun",
        [TRACE_KEY_SENT] = "key_sent",
        [TRACE_KEY_ANSWERED] = "key_answered",
        [TRACE_HANDSHAKE_DONE] = "handshake_done",
        [TRACE_ORIGIN_CONNECTED] = "origin_connected",
        [TRACE_FIRST_BYTE] = "first_byte",
        [TRACE_CLOSED] = "closed",
    };
    return point < TRACE_POINTS ? names[point] : NULL;
}
