#include "edge/keyclient/flights.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_SIZE 256

int flights_init(struct flights *f)
{
    *f = (struct flights){.size = FIRST_SIZE, .buckets = calloc(FIRST_SIZE, sizeof(struct client_flight *))};
    return f->buckets != NULL ? 0 : ERR_MEMORY;
}

void flights_clear(struct flights *f)
{
    free(f->buckets);
    *f = (struct flights){0};
}

static struct client_flight **bucket_of(const struct flights *f, uint64_t id)
{
    return &f->buckets[id & (f->size - 1)];
}

static void chain_in(struct flights *f, struct client_flight *flight)
{
    struct client_flight **bucket = bucket_of(f, flight->id);
    flight->chain = *bucket;
    *bucket = flight;
}

static void grow(struct flights *f)
{
    struct flights larger = {.size = f->size * 2, .count = f->count};

    larger.buckets = calloc(larger.size, sizeof(struct client_flight *));
    if (larger.buckets == NULL)
        return;
    for (size_t i = 0; i < f->size; i++)
        for (struct client_flight *flight = f->buckets[i], *next; flight != NULL; flight = next) {
            next = flight->chain;
            chain_in(&larger, flight);
        }
    free(f->buckets);
    *f = larger;
}

void flights_put(struct flights *f, struct client_flight *flight)
{
    if (f->count >= f->size)
        grow(f);
    chain_in(f, flight);
    f->count++;
}

struct client_flight *flights_find(const struct flights *f, uint64_t id)
{
    struct client_flight *flight = *bucket_of(f, id);
    while (flight != NULL && flight->id != id)
        flight = flight->chain;
    return flight;
}

void flights_remove(struct flights *f, struct client_flight *flight)
{
    struct client_flight **at = bucket_of(f, flight->id);
    while (*at != flight) {
        assert(*at != NULL);
        at = &(*at)->chain;
    }
    *at = flight->chain;
    flight->chain = NULL;
    f->count--;
}
