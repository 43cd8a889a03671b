#include "keyserver/lanes/ed_lanes.h"

#include <string.h>

#include "common/secret.h"
#include "common/sign.h"
#include "keyserver/lanes/ed_kernel.h"

/* The work of a kernel follows it, aligned to 64 bytes. */
struct ed_scratch {
    const struct ed_kernel *kernel; /* borrowed */
    size_t size;                    /* bytes of all */
    _Alignas(64) uint8_t work[];
};

/* As deep as a kernel's own variables may reach: it keeps numbers in registers, and some of them pass through
 * its stack. */

void ed_key_derive(struct ed_key *key, const uint8_t seed[static ED_SIZE])
{
    struct sign_key of;
    uint8_t hash[2 * ED_SIZE];
    sign_derive(&of, seed);
    memcpy(key->public, of.public, sizeof key->public);
    sha512(hash, seed, ED_SIZE);
    memcpy(key->scalar, hash, ED_SIZE);
    memcpy(key->prefix, hash + ED_SIZE, ED_SIZE);
    key->scalar[0] &= 0xf8;
    key->scalar[ED_SIZE - 1] = (key->scalar[ED_SIZE - 1] & 0x3f) | 0x40;
    wipe(&of, sizeof of);
    wipe(hash, sizeof hash);
}

struct ed_scratch *ed_scratch_new(const struct ed_kernel *kernel)
{
    /* A multiple of 64: guarded memory ends where a page does, and so begins at one, too. */
    size_t size = (sizeof(struct ed_scratch) + kernel->work_size + 63) / 64 * 64;
    struct ed_scratch *scratch = secret_new(size);
    if (scratch == NULL)
        return NULL;
    scratch->kernel = kernel;
    scratch->size = size;
    return scratch;
}

void ed_scratch_free(struct ed_scratch *scratch)
{
    secret_free(scratch);
}

int ed_lanes_sign(struct ed_scratch *scratch, struct ed_item *items, size_t count)
{
    if (count == 0 || count > ED_LANES_MAX)
        return ERR_LENGTH;
    scratch->kernel->sign(scratch->work, items, count);
    wipe(scratch->work, scratch->size - offsetof(struct ed_scratch, work));
    wipe_stack();
    return 0;
}
