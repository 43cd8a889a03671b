#include "edge/keyclient/pool.h"

#include <stdlib.h>

int pool_init(struct pool *pool, size_t count)
{
    *pool = (struct pool){.count = count};
    pool->links = calloc(count + 1, sizeof *pool->links); /* never an allocation of 0 bytes */
    return pool->links != NULL ? 0 : ERR_MEMORY;
}

void pool_clear(struct pool *pool)
{
    free(pool->links);
    *pool = (struct pool){0};
}

void pool_hurry(struct pool *pool)
{
    if (pool->usable > 0)
        return;
    for (size_t i = 0; i < pool->count; i++)
        link_hurry(&pool->links[i]);
}

bool pool_gone(const struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++)
        if (!link_gone(&pool->links[i]))
            return false;
    return pool->count > 0;
}

unsigned pool_parts(const struct pool *pool)
{
    unsigned parts = 0;

    for (size_t i = 0; i < pool->count; i++)
        parts += pool->links[i].parts;
    return parts;
}
