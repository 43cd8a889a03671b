/* Grants: what each key server lets this edge do with each of the keys whose certificates it has, as `keys`
 * has told last. Shared by the threads of a daemon, of which one asks for all.
 *
 * Knows no channels; time comes from outside. Any thread. */
#ifndef EDGE_KEYCLIENT_GRANTS_H
#define EDGE_KEYCLIENT_GRANTS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/operation.h"

struct grants;

/* For SERVERS key servers and the keys with the COUNT ids at IDS (copied; one that is there twice counts
 * once). NULL without memory. */
struct grants *grants_new(size_t servers, const uint8_t (*ids)[KEY_ID_SIZE], size_t count);
/* NULL is allowed. */
void grants_free(struct grants *grants);

/* Keys with different ids. */
size_t grants_keys(const struct grants *grants);
/* The number of the key KEY_ID, below grants_keys(), or ERR_NOT_FOUND. */
int grants_find(const struct grants *grants, const uint8_t key_id[static KEY_ID_SIZE],
                size_t *number) MUST_USE;

/* True for one caller at most in INTERVAL_MS: nobody has asked SERVER since. NOW_MS is of clock_ms(). */
bool grants_claim(struct grants *grants, size_t server, uint64_t now_ms, uint64_t interval_ms) MUST_USE;
/* When SERVER was asked last; 0 = never. */
uint64_t grants_asked_ms(const struct grants *grants, size_t server);
/* SERVER has answered: OPERATIONS[number] is what it grants of each key (bit 1 << operation). */
void grants_put(struct grants *grants, size_t server, const uint32_t *operations);

/* True when SERVER has answered before. */
bool grants_known(const struct grants *grants, size_t server);
/* What SERVER, which is known, grants of the key NUMBER. */
uint32_t grants_get(const struct grants *grants, size_t server, size_t number);
/* True when SERVER is known not to grant OPERATION. */
bool grants_lacks(const struct grants *grants, size_t server, const struct operation *operation);
/* How many of the keys it grants for anything; 0 when it is not known. */
size_t grants_count(const struct grants *grants, size_t server);

#endif
