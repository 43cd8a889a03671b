#include "edge/keyclient/attempts.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_SIZE 256

int attempts_init(struct attempts *f)
{
    *f = (struct attempts){.size = FIRST_SIZE,
                           .buckets = calloc(FIRST_SIZE, sizeof(struct client_attempt *))};
    return f->buckets != NULL ? 0 : ERR_MEMORY;
}

void attempts_clear(struct attempts *f)
{
    free(f->buckets);
    *f = (struct attempts){0};
}

static struct client_attempt **bucket_of(const struct attempts *f, uint64_t id)
{
    return &f->buckets[id & (f->size - 1)];
}

static void chain_in(struct attempts *f, struct client_attempt *attempt)
{
    struct client_attempt **bucket = bucket_of(f, attempt->id);
    attempt->chain = *bucket;
    *bucket = attempt;
}

static void grow_table(struct attempts *f)
{
    struct attempts larger = {.size = f->size * 2, .count = f->count};

    larger.buckets = calloc(larger.size, sizeof(struct client_attempt *));
    if (larger.buckets == NULL)
        return;
    for (size_t i = 0; i < f->size; i++)
        for (struct client_attempt *attempt = f->buckets[i], *next; attempt != NULL; attempt = next) {
            next = attempt->chain;
            chain_in(&larger, attempt);
        }
    free(f->buckets);
    *f = larger;
}

void attempts_put(struct attempts *f, struct client_attempt *attempt)
{
    if (f->count >= f->size)
        grow_table(f);
    chain_in(f, attempt);
    f->count++;
}

struct client_attempt *attempts_find(const struct attempts *f, uint64_t id)
{
    struct client_attempt *attempt = *bucket_of(f, id);
    while (attempt != NULL && attempt->id != id)
        attempt = attempt->chain;
    return attempt;
}

void attempts_remove(struct attempts *f, struct client_attempt *attempt)
{
    struct client_attempt **at = bucket_of(f, attempt->id);
    while (*at != attempt) {
        assert(*at != NULL);
        at = &(*at)->chain;
    }
    *at = attempt->chain;
    attempt->chain = NULL;
    f->count--;
}
