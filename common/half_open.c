#include "common/half_open.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"

struct half_open_place {
    void *owner; /* borrowed; NULL = free */
    size_t next; /* free place after this one */
    uint64_t address, block;
    uint64_t arrival;
    bool known;
};

int half_open_init(struct half_open *h, size_t max)
{
    memset(h, 0, sizeof *h);
    h->max = max > 0 ? max : 1;
    h->place = calloc(h->max, sizeof *h->place);
    if (h->place == NULL)
        return ERR_MEMORY;
    random_bytes(h->key, sizeof h->key);
    for (size_t i = 0; i < h->max; i++)
        h->place[i].next = i + 1;
    return 0;
}

void half_open_clear(struct half_open *h)
{
    free(h->place);
    wipe(h->key, sizeof h->key);
    h->place = NULL;
}

/* ---- sources ---- */

/* A hash of the first bits of FROM, never 0. */
static uint64_t source(const struct half_open *h, const struct address *from, unsigned v4_bits,
                       unsigned v6_bits)
{
    uint8_t block[ADDRESS_BLOCK_SIZE], hash[SHA256_SIZE];
    uint64_t tag;
    address_block(block, from, v4_bits, v6_bits);
    hmac_sha256(hash, h->key, sizeof h->key, block, sizeof block);
    memcpy(&tag, hash, sizeof tag);
    return tag != 0 ? tag : 1;
}

static uint64_t address_of(const struct half_open *h, const struct address *from)
{
    return source(h, from, 32, 64);
}

static uint64_t block_of(const struct half_open *h, const struct address *from)
{
    return source(h, from, 24, 48);
}

static size_t column(uint64_t tag, size_t row)
{
    return (tag >> 32 * row) & (HALF_OPEN_COLUMNS - 1);
}

static void sketch_add(struct half_open_sketch *sketch, uint64_t tag, uint32_t change)
{
    for (size_t row = 0; row < HALF_OPEN_ROWS; row++)
        sketch->cell[row][column(tag, row)] += change;
}

static uint32_t sketch_count(const struct half_open_sketch *sketch, uint64_t tag)
{
    uint32_t least = UINT32_MAX;
    for (size_t row = 0; row < HALF_OPEN_ROWS; row++) {
        uint32_t count = sketch->cell[row][column(tag, row)];
        least = count < least ? count : least;
    }
    return least;
}

/* ---- addresses that are known ---- */

static const uint64_t *known_set(const struct half_open *h, uint64_t address)
{
    return h->known[address & (HALF_OPEN_KNOWN_SETS - 1)];
}

static bool is_known(const struct half_open *h, uint64_t address)
{
    const uint64_t *set = known_set(h, address);
    for (size_t i = 0; i < HALF_OPEN_KNOWN_WAYS; i++)
        if (set[i] == address)
            return true;
    return false;
}

void half_open_remember(struct half_open *h, const struct address *from)
{
    uint64_t address = address_of(h, from);
    uint64_t *set = h->known[address & (HALF_OPEN_KNOWN_SETS - 1)];
    size_t at = 0;
    while (at + 1 < HALF_OPEN_KNOWN_WAYS && set[at] != address)
        at++;
    memmove(set + 1, set, at * sizeof *set);
    set[0] = address;
}

/* ---- places ---- */

/* True when A is dropped before B. */
static bool goes_first(const struct half_open *h, const struct half_open_place *a,
                       const struct half_open_place *b)
{
    if (a->known != b->known)
        return b->known;
    uint32_t a_count = sketch_count(&h->of_block, a->block), b_count = sketch_count(&h->of_block, b->block);
    if (a_count != b_count)
        return a_count > b_count;
    a_count = sketch_count(&h->of_address, a->address);
    b_count = sketch_count(&h->of_address, b->address);
    return a_count != b_count ? a_count > b_count : a->arrival < b->arrival;
}

void *half_open_find_victim(struct half_open *h)
{
    size_t looks = h->max < HALF_OPEN_LOOKS ? h->max : HALF_OPEN_LOOKS;
    const struct half_open_place *victim = NULL;
    if (h->count < h->max)
        return NULL;
    for (size_t i = 0; i < looks; i++) {
        const struct half_open_place *place = &h->place[h->hand];
        h->hand = (h->hand + 1) % h->max;
        if (victim == NULL || goes_first(h, place, victim))
            victim = place;
    }
    return victim->owner;
}

size_t half_open_put(struct half_open *h, const struct address *from, void *owner)
{
    assert(h->count < h->max && owner != NULL);
    size_t number = h->free;
    struct half_open_place *place = &h->place[number];
    h->free = place->next;
    h->count++;
    place->owner = owner;
    place->address = address_of(h, from);
    place->block = block_of(h, from);
    place->arrival = h->arrivals++;
    place->known = is_known(h, place->address);
    sketch_add(&h->of_address, place->address, 1);
    sketch_add(&h->of_block, place->block, 1);
    return number;
}

void half_open_remove(struct half_open *h, size_t number)
{
    struct half_open_place *place = &h->place[number];
    assert(place->owner != NULL);
    sketch_add(&h->of_address, place->address, UINT32_MAX); /* subtracts one, modulo 2^32 */
    sketch_add(&h->of_block, place->block, UINT32_MAX);
    place->owner = NULL;
    place->next = h->free;
    h->free = number;
    h->count--;
}
