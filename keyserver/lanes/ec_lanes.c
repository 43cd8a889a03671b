#include "keyserver/lanes/ec_lanes.h"

#include <string.h>

#include "common/secret.h"
#include "keyserver/lanes/ec_kernel.h"

/* The work of a kernel follows it, aligned to 64 bytes. */
struct ec_scratch {
    const struct ec_kernel *kernel; /* borrowed */
    size_t size;                    /* bytes of all */
    struct ec_nonces nonces;
    _Alignas(64) uint8_t noise[EC_LANES_MAX][EC_NOISE_SIZE];
    _Alignas(64) uint8_t work[];
};

/* As deep as a kernel's own variables may reach: it keeps numbers in registers, and some of them pass through
 * its stack. */

struct ec_scratch *ec_scratch_new(const struct ec_kernel *kernel)
{
    /* A multiple of 64: guarded memory ends where a page does, and so begins at one, too. */
    size_t size = (sizeof(struct ec_scratch) + kernel->work_size + 63) / 64 * 64;
    struct ec_scratch *scratch = secret_new(size);
    if (scratch == NULL)
        return NULL;
    scratch->kernel = kernel;
    scratch->size = size;
    return scratch;
}

void ec_scratch_free(struct ec_scratch *scratch)
{
    secret_free(scratch);
}

static void wipe_secrets(struct ec_scratch *scratch)
{
    size_t kept = offsetof(struct ec_scratch, nonces);
    wipe((uint8_t *)scratch + kept, scratch->size - kept);
    wipe_stack();
}

/* Signs once; says with which items another nonce is needed, or whose key is bad. */
static struct ec_verdict sign_once(struct ec_scratch *scratch, struct ec_item *items, size_t count,
                                   uint8_t attempt)
{
    const struct ec_kernel *kernel = scratch->kernel;
    random_bytes(scratch->noise, count * EC_NOISE_SIZE);
    kernel->derive(&scratch->nonces, items, count, scratch->noise[0], attempt);
    return kernel->sign(scratch->work, &scratch->nonces, items, count);
}

int ec_lanes_sign(struct ec_scratch *scratch, struct ec_item *items, size_t count)
{
    struct ec_verdict verdict = {.again = 1};
    if (count == 0 || count > EC_LANES_MAX)
        return ERR_LENGTH;
    for (uint8_t attempt = 0; verdict.again != 0 && verdict.bad == 0 && attempt < EC_ATTEMPTS; attempt++)
        verdict = sign_once(scratch, items, count, attempt);
    wipe_secrets(scratch);
    if (verdict.again == 0 && verdict.bad == 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        wipe(items[i].rs, sizeof items[i].rs);
    return ERR_CRYPTO;
}
