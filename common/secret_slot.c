#include "common/secret_slot.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/secret.h"

#define LINE        SECRET_SLOT_ALIGNMENT
#define CANARY_SIZE 16 /* bytes behind a secret, at least */
#define REGION_FIRST                                                                                         \
    (1u << 18) /* bytes of slots in the first region of a size; each next one is twice that */
#define REGION_MAX (1u << 22)

/* |guard|slot|slot|…|guard|, a slot: |canary, LINE bytes|secret|canary|. */
struct region {
    struct region *next; /* owned */
    uint8_t *slots;      /* owned; behind the first guard page */
    size_t length;       /* bytes of slots and what is left over behind the last of them, whole pages */
    size_t size;         /* of each secret */
    size_t slot_size;
    uint32_t slot_count, free_count;
    uint32_t *free_slot; /* owned; the first `free_count` are free */
    bool *taken;         /* owned; by number of the slot */
};

static struct {
    pthread_mutex_t lock;
    struct region *first; /* owned list */
    bool has_canary;
    uint8_t canary[LINE];
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- a slot ---- */

static size_t slot_size_for(size_t size)
{
    return LINE + (size + CANARY_SIZE + LINE - 1) / LINE * LINE;
}

static void fill_slot(const struct region *region, uint8_t *slot)
{
    size_t behind = LINE + region->size;
    memcpy(slot, all.canary, LINE);
    memset(slot + LINE, 0, region->size);
    for (size_t at = behind; at < region->slot_size; at++)
        slot[at] = all.canary[(at - behind) % LINE];
}

static bool is_whole(const struct region *region, const uint8_t *slot)
{
    size_t behind = LINE + region->size, left = region->slot_size - behind;
    bool whole = same_bytes(slot, all.canary, LINE);
    for (size_t at = behind; left > 0;) {
        size_t part = left < LINE ? left : LINE;
        whole = same_bytes(slot + at, all.canary, part) && whole;
        at += part;
        left -= part;
    }
    return whole;
}

/* ---- a region ---- */

static void region_free(struct region *region)
{
    if (region->slots != NULL)
        munmap(region->slots - page_size(), region->length + 2 * page_size());
    free(region->free_slot);
    free(region->taken);
    free(region);
}

/* Guarded on both sides. Not every system has the lock or the rest. What cannot be locked is reported where a
 * process locks all of its memory (memory_lock.h). */
static bool map_slots(struct region *region, size_t wanted)
{
    size_t page = page_size();
    region->length = (wanted + page - 1) / page * page;
    uint8_t *bytes = mmap(NULL, region->length + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return false;
    region->slots = bytes + page;
    if (mprotect(region->slots, region->length, PROT_READ | PROT_WRITE) != 0)
        return false;
    (void)madvise(region->slots, region->length, MADV_DONTDUMP);
    (void)mlock2(region->slots, region->length, MLOCK_ONFAULT);
    return true;
}

/* Lowest first, so that what is used lies together. */
static bool make_free(struct region *region)
{
    region->slot_count = region->free_count = (uint32_t)(region->length / region->slot_size);
    region->free_slot = calloc(region->slot_count, sizeof *region->free_slot);
    region->taken = calloc(region->slot_count, sizeof *region->taken);
    for (uint32_t i = 0; region->free_slot != NULL && i < region->slot_count; i++)
        region->free_slot[i] = region->slot_count - 1 - i;
    return region->free_slot != NULL && region->taken != NULL;
}

/* For secrets of SIZE, of which the largest region so far has BEFORE bytes; NULL without memory. */
static struct region *region_new(size_t size, size_t before)
{
    size_t wanted = before == 0 ? REGION_FIRST : before < REGION_MAX / 2 ? 2 * before : REGION_MAX;
    struct region *region = calloc(1, sizeof *region);
    if (region == NULL)
        return NULL;
    region->size = size;
    region->slot_size = slot_size_for(size);
    if (!map_slots(region, wanted) || !make_free(region)) {
        region_free(region);
        return NULL;
    }
    region->next = all.first;
    all.first = region;
    return region;
}

/* One with room for a secret of SIZE, made if there is none. */
static struct region *region_for(size_t size)
{
    size_t largest = 0;
    for (struct region *region = all.first; region != NULL; region = region->next) {
        if (region->size != size)
            continue;
        if (region->free_count > 0)
            return region;
        if (region->length > largest)
            largest = region->length;
    }
    return region_new(size, largest);
}

/* The link to the region that ADDRESS lies in, or NULL. */
static struct region **find_region(uintptr_t address)
{
    for (struct region **at = &all.first; *at != NULL; at = &(*at)->next) {
        uintptr_t begin = (uintptr_t)(*at)->slots;
        if (address >= begin && address < begin + (*at)->length)
            return at;
    }
    return NULL;
}

/* ---- all ---- */

static void *take_slot(size_t size)
{
    if (!all.has_canary) {
        random_bytes(all.canary, sizeof all.canary);
        all.has_canary = true;
    }
    struct region *region = region_for(size);
    if (region == NULL)
        return NULL;
    uint32_t number = region->free_slot[--region->free_count];
    uint8_t *slot = region->slots + number * region->slot_size;
    region->taken[number] = true;
    fill_slot(region, slot);
    return slot + LINE;
}

void *secret_slot_new(size_t size)
{
    if (size > SECRET_SLOT_MAX)
        return NULL;
    pthread_mutex_lock(&all.lock);
    void *secret = take_slot(size);
    pthread_mutex_unlock(&all.lock);
    return secret;
}

static void give_back(uint8_t *secret)
{
    struct region **at = find_region((uintptr_t)secret);
    if (at == NULL)
        abort();
    struct region *region = *at;
    size_t offset = (size_t)(secret - region->slots) - LINE, number = offset / region->slot_size;
    if (number >= region->slot_count || offset % region->slot_size != 0 || !region->taken[number] ||
        !is_whole(region, secret - LINE))
        abort();
    wipe(secret - LINE, region->slot_size);
    region->taken[number] = false;
    region->free_slot[region->free_count++] = (uint32_t)number;
    if (region->free_count < region->slot_count)
        return;
    *at = region->next;
    region_free(region);
}

void secret_slot_free(void *secret)
{
    if (secret == NULL)
        return;
    pthread_mutex_lock(&all.lock);
    give_back(secret);
    pthread_mutex_unlock(&all.lock);
}
