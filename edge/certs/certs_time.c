#include "edge/certs/certs_time.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[CERT_STATES] = {
    [CERT_VALID] = "valid",
    [CERT_EXPIRED] = "expired",
    [CERT_NOT_YET_VALID] = "not_yet_valid",
};

const char *certs_time_name(enum cert_state state)
{
    return (unsigned)state < CERT_STATES ? names[state] : "-";
}

/* The last second is a part of the validity (RFC 5280, 4.1.2.5). */
enum cert_state certs_time_state(const struct cert *cert, int64_t now)
{
    if (cert->not_after < now)
        return CERT_EXPIRED;
    return cert->not_before <= now ? CERT_VALID : CERT_NOT_YET_VALID;
}

/* The values of the enum are ordered from worst to best. */
enum cert_state certs_time_set_state(const struct cert_set *set, int64_t now)
{
    enum cert_state best = CERT_NOT_YET_VALID;
    for (int type = 0; type < KEY_TYPES; type++) {
        const struct cert *cert = set->of_type[type];
        if (cert != NULL && certs_time_state(cert, now) < best)
            best = certs_time_state(cert, now);
    }
    return best;
}

static bool is_better(const struct cert *a, const struct cert *b, int64_t now)
{
    enum cert_state of_a = certs_time_state(a, now), of_b = certs_time_state(b, now);
    if (of_a != of_b)
        return of_a < of_b;
    return of_a == CERT_NOT_YET_VALID ? a->not_before < b->not_before : a->not_after > b->not_after;
}

void certs_time_choose(struct cert_set *out, const struct cert *const *candidate, size_t count, int64_t now)
{
    memset(out->of_type, 0, sizeof out->of_type);
    for (size_t i = 0; i < count; i++) {
        const struct cert **place = &out->of_type[candidate[i]->type];
        if (*place == NULL || is_better(candidate[i], *place, now))
            *place = candidate[i];
    }
    enum cert_state best = certs_time_set_state(out, now);
    for (int type = 0; type < KEY_TYPES; type++)
        if (out->of_type[type] != NULL && certs_time_state(out->of_type[type], now) != best)
            out->of_type[type] = NULL;
}

const struct cert *certs_time_first_lasting(struct cert *const *cert, size_t count, int64_t now)
{
    for (size_t i = 0; i < count; i++)
        if (certs_time_state(cert[i], now) != CERT_EXPIRED)
            return cert[i];
    return cert[0];
}

static int by_time(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

size_t certs_time_changes(int64_t *out, const struct cert *const *candidate, size_t count, int64_t now)
{
    size_t all = 0, kept = 0, past = 0;
    for (size_t i = 0; i < count; i++) {
        out[all++] = candidate[i]->not_before;
        out[all++] = candidate[i]->not_after + 1;
    }
    if (all > 0)
        qsort(out, all, sizeof *out, by_time);
    for (size_t i = 0; i < all; i++)
        if (kept == 0 || out[i] != out[kept - 1])
            out[kept++] = out[i];
    while (past < kept && out[past] <= now)
        past++;
    size_t dropped = past > CERTS_TIME_PAST ? past - CERTS_TIME_PAST : 0;
    memmove(out, out + dropped, (kept - dropped) * sizeof *out);
    return kept - dropped;
}
