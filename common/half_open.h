/* Places for half-open connections: those whose peer is not authenticated yet. A table of fixed size that
 * says which connection is dropped when it is full.
 *
 * The newest always finds a place. It is taken from the block of addresses (IPv4 /24, IPv6 /48) that holds
 * most places, in it from the address (IPv6: the /64) that holds most, and of those from the oldest: so a
 * flood displaces its own connections. Addresses from which somebody was authenticated lately go last. How
 * many places a source holds is counted in a count-min sketch (Cormode and Muthukrishnan, 2005) under a keyed
 * hash: sometimes too many, never too few. Knows neither sockets nor a clock. Pure; one thread at a time. */
#ifndef COMMON_HALF_OPEN_H
#define COMMON_HALF_OPEN_H

#include <stdbool.h>

#include "common/address.h"
#include "common/secret.h"

#define HALF_OPEN_ROWS       2    /* of the sketch */
#define HALF_OPEN_COLUMNS    8192 /* of the sketch; a power of two */
#define HALF_OPEN_LOOKS      1024 /* places compared to find the one to drop */
#define HALF_OPEN_KNOWN_SETS 1024 /* of remembered addresses; a power of two */
#define HALF_OPEN_KNOWN_WAYS 4    /* addresses of a set; the one seen longest ago is forgotten first */

struct half_open_place;

struct half_open_sketch {
    uint32_t cell[HALF_OPEN_ROWS][HALF_OPEN_COLUMNS];
};

struct half_open {
    uint8_t key[SHA256_SIZE]; /* random: nobody outside knows which sources share a cell or a set */
    size_t max, count;
    size_t free;                   /* the first place without an owner; linked */
    struct half_open_place *place; /* owned; `max` */
    size_t hand;                   /* the place that is looked at next */
    uint64_t arrivals;             /* so far: says who is older */
    struct half_open_sketch of_address, of_block;
    uint64_t known[HALF_OPEN_KNOWN_SETS][HALF_OPEN_KNOWN_WAYS]; /* hashes, the last seen first; 0 = none */
};

/* MAX places, at least 1. ERR_MEMORY. */
int half_open_init(struct half_open *h, size_t max) MUST_USE;
void half_open_clear(struct half_open *h); /* zero-initialised is allowed */

/* The owner of the place that is to be given up for one more; NULL while there is a free one. Of a large
 * table it looks at HALF_OPEN_LOOKS places, at others each time. */
void *half_open_find_victim(struct half_open *h);
/* Gives a place, which must be free, to OWNER (not NULL) from the address FROM. Returns its number. */
size_t half_open_put(struct half_open *h, const struct address *from, void *owner);
/* The place NUMBER is free again. */
void half_open_remove(struct half_open *h, size_t number);
/* Somebody from the address FROM is authenticated. */
void half_open_remember(struct half_open *h, const struct address *from);

#endif
