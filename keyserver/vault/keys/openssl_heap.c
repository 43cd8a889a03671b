#include "keyserver/vault/keys/openssl_heap.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"

/* As OpenSSL's own, no bytes are no memory. */
static void *heap_new(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size == 0 ? NULL : malloc(size);
}

/* All that the block has room for: more than was asked for may have been written by a block before it. */
static void give_back(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    if (block == NULL)
        return;
    wipe(block, malloc_usable_size(block));
    free(block);
}

/* Not realloc(), which leaves the content where it was. */
static void *move(void *block, size_t size, const char *file, int line)
{
    size_t room = block != NULL ? malloc_usable_size(block) : 0;
    if (size > 0 && size <= room)
        return block;
    void *moved = heap_new(size, file, line);
    if (moved == NULL && size > 0)
        return NULL;
    if (moved != NULL && room > 0)
        memcpy(moved, block, room);
    give_back(block, file, line);
    return moved;
}

int openssl_heap_start(void)
{
    CRYPTO_malloc_fn allocate;
    CRYPTO_get_mem_functions(&allocate, NULL, NULL);
    return allocate == heap_new || CRYPTO_set_mem_functions(heap_new, move, give_back) == 1 ? 0 : ERR_CRYPTO;
}
