#include "edge/keyclient/grants.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct server {
    _Atomic uint64_t asked_ms;
    atomic_bool known;
    _Atomic uint32_t *operations; /* owned; a mask a key */
};

struct grants {
    size_t server_count;
    size_t key_count;
    uint8_t (*ids)[KEY_ID_SIZE]; /* owned; sorted */
    struct server *servers;      /* owned */
};

/* ---- life ---- */

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, KEY_ID_SIZE);
}

/* Sorts the COUNT ids and keeps one of each; returns how many are left. */
static size_t sort_ids(uint8_t (*ids)[KEY_ID_SIZE], size_t count)
{
    size_t kept = 0;

    if (count > 1)
        qsort(ids, count, sizeof ids[0], compare_ids);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || compare_ids(ids[kept - 1], ids[i]) != 0)
            memmove(ids[kept++], ids[i], sizeof ids[0]);
    return kept;
}

static int make_servers(struct grants *grants, size_t count)
{
    grants->servers = calloc(count + 1, sizeof grants->servers[0]); /* never an allocation of 0 bytes */
    if (grants->servers == NULL)
        return ERR_MEMORY;
    for (; grants->server_count < count; grants->server_count++) {
        struct server *server = &grants->servers[grants->server_count];
        server->operations = calloc(grants->key_count + 1, sizeof server->operations[0]);
        if (server->operations == NULL)
            return ERR_MEMORY;
    }
    return 0;
}

struct grants *grants_new(size_t servers, const uint8_t (*ids)[KEY_ID_SIZE], size_t count)
{
    struct grants *grants = calloc(1, sizeof *grants);

    if (grants == NULL || (grants->ids = calloc(count + 1, sizeof grants->ids[0])) == NULL) {
        free(grants);
        return NULL;
    }
    if (count > 0)
        memcpy(grants->ids, ids, count * sizeof ids[0]);
    grants->key_count = sort_ids(grants->ids, count);
    if (make_servers(grants, servers) != 0) {
        grants_free(grants);
        return NULL;
    }
    return grants;
}

void grants_free(struct grants *grants)
{
    if (grants == NULL)
        return;
    for (size_t i = 0; i < grants->server_count; i++)
        free(grants->servers[i].operations);
    free(grants->servers);
    free(grants->ids);
    free(grants);
}

/* ---- keys ---- */

size_t grants_keys(const struct grants *grants)
{
    return grants->key_count;
}

int grants_find(const struct grants *grants, const uint8_t key_id[static KEY_ID_SIZE], size_t *number)
{
    const uint8_t(*found)[KEY_ID_SIZE] = bsearch(key_id, grants->ids, grants->key_count,
                                                 sizeof grants->ids[0], compare_ids);

    if (found == NULL)
        return ERR_NOT_FOUND;
    *number = (size_t)(found - (const uint8_t(*)[KEY_ID_SIZE])grants->ids);
    return 0;
}

/* ---- asking ---- */

bool grants_claim(struct grants *grants, size_t server, uint64_t now_ms, uint64_t interval_ms)
{
    _Atomic uint64_t *asked = &grants->servers[server].asked_ms;
    uint64_t before = atomic_load(asked);

    if (before != 0 && now_ms < before + interval_ms)
        return false;
    return atomic_compare_exchange_strong(asked, &before, now_ms != 0 ? now_ms : 1);
}

uint64_t grants_asked_ms(const struct grants *grants, size_t server)
{
    return atomic_load(&grants->servers[server].asked_ms);
}

/* A concurrent reader sees some keys with the new grants and some with the old ones. */
void grants_put(struct grants *grants, size_t server, const uint32_t *operations)
{
    struct server *to = &grants->servers[server];

    for (size_t i = 0; i < grants->key_count; i++)
        atomic_store_explicit(&to->operations[i], operations[i], memory_order_relaxed);
    atomic_store_explicit(&to->known, true, memory_order_release);
}

/* ---- answers ---- */

bool grants_known(const struct grants *grants, size_t server)
{
    return atomic_load_explicit(&grants->servers[server].known, memory_order_acquire);
}

uint32_t grants_get(const struct grants *grants, size_t server, size_t number)
{
    return atomic_load_explicit(&grants->servers[server].operations[number], memory_order_relaxed);
}

bool grants_lacks(const struct grants *grants, size_t server, const struct operation *operation)
{
    size_t number = 0;

    return operation_uses_key(operation->kind) && grants_known(grants, server) &&
           grants_find(grants, operation->key_id, &number) == 0 &&
           (grants_get(grants, server, number) & OPERATION_BIT(operation->kind)) == 0;
}

size_t grants_count(const struct grants *grants, size_t server)
{
    size_t count = 0;

    for (size_t i = 0; grants_known(grants, server) && i < grants->key_count; i++)
        count += grants_get(grants, server, i) != 0;
    return count;
}
