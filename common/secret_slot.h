/* Secret slots: guarded memory for secrets of which there are thousands, the numbers of a key store's keys.
 *
 * A secret of secret_new() has guard pages of its own, which takes four mappings: with thousands of keys the
 * kernel copies tens of thousands of mappings at each fork() and takes them down at each exit. Here secrets
 * of one size share a region: a guard page, slots, a guard page. A region is locked where the limit allows
 * and left out of core dumps. Each slot has a line of secret random bytes before its secret and such bytes
 * behind it up to the slot's end; one that was overwritten ends the process when the slot is freed. What says
 * which slots are free lies in other memory, where no overflow of a secret reaches it. Any thread. */
#ifndef COMMON_SECRET_SLOT_H
#define COMMON_SECRET_SLOT_H

#include <stddef.h>

#define SECRET_SLOT_ALIGNMENT 64         /* bytes; of every secret here */
#define SECRET_SLOT_MAX       (1u << 16) /* bytes of the largest secret */

/* SIZE zeroed bytes, at most SECRET_SLOT_MAX; NULL without memory. After secret_init(). Free with
 * secret_slot_free(). */
void *secret_slot_new(size_t size);
/* Wipes and releases, and gives a region of which nothing is left back to the system; NULL is allowed. Ends
 * the process (SIGABRT) when bytes around the secret were overwritten, or when it is none. */
void secret_slot_free(void *secret);

#endif
