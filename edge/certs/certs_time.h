/* Which certificates answer a name at a time. Of those of one key type that are valid the one that ends last;
 * where none of any type is valid, one that has expired before one whose time has not come.
 *
 * Pure: the caller gives the time, in seconds since 1970; any thread. */
#ifndef EDGE_CERTS_CERTS_TIME_H
#define EDGE_CERTS_CERTS_TIME_H

#include "edge/certs/certs.h"

/* So many past changes are kept, so that the right certificates answer after the clock was set back. */
#define CERTS_TIME_PAST 16

enum cert_state { CERT_VALID, CERT_EXPIRED, CERT_NOT_YET_VALID, CERT_STATES };

enum cert_state certs_time_state(const struct cert *cert, int64_t now);
/* "valid", "expired", "not_yet_valid": for logs, metrics and status. */
const char *certs_time_name(enum cert_state state);

/* The best state of the certificates of SET at NOW. */
enum cert_state certs_time_set_state(const struct cert_set *set, int64_t now);

/* The certificates out of COUNT candidates (all for one name) that answer at NOW, into OUT->of_type. Of
 * equals the first. */
void certs_time_choose(struct cert_set *out, const struct cert *const *candidate, size_t count, int64_t now);

/* The first of COUNT that has not expired at NOW; of those that all have, the first. COUNT is not 0. */
const struct cert *certs_time_first_lasting(struct cert *const *cert, size_t count, int64_t now);

/* Every time at which the choice may change, ascending, each once, into OUT (room for 2 COUNT): all that come
 * after NOW and the last CERTS_TIME_PAST before. Returns how many. */
size_t certs_time_changes(int64_t *out, const struct cert *const *candidate, size_t count, int64_t now);

#endif
