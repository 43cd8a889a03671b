/* Does anything in ECDSA's lanes branch on a secret, or look up memory by it?
 *
 * Under valgrind, with what is secret marked undefined: the keys, and the random bytes that nonces are made
 * of. The portable kernel runs, which has its source in common with that of the vector unit, whose
 * instructions valgrind does not know; what lies around it is the product's own code. Valgrind reports every
 * jump and every address that depends on an undefined byte. What the kernel says of a call (is a key bad, is
 * another nonce wanted) is public, and so is the signature. */
#include <stdio.h>
#include <valgrind/memcheck.h>

#include "common/secret.h"
#include "keyserver/lanes/ec_kernel.h"

static const struct ec_kernel *real;
static bool marks_came_through = true;

/* True when the bytes follow from a secret in each of COUNT pieces. */
static bool has_secrets(const void *bytes, size_t count, size_t length)
{
    uint8_t bits[2 * EC_SIZE_MAX];
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *piece = (const uint8_t *)bytes + i * sizeof(struct ec_item);
        uint8_t any = 0;
        all = all && VALGRIND_GET_VBITS(piece, bits, length) == 1;
        for (size_t j = 0; j < length; j++)
            any |= bits[j];
        all = all && any != 0;
    }
    return all;
}

static void derive_marked(struct ec_nonces *nonces, const struct ec_item *items, size_t count,
                          const uint8_t *noise, uint8_t attempt)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(noise, count * EC_NOISE_SIZE);
    real->derive(nonces, items, count, noise, attempt);
}

static struct ec_verdict sign_marked(void *work, const struct ec_nonces *nonces, struct ec_item *items,
                                     size_t count)
{
    struct ec_verdict verdict = real->sign(work, nonces, items, count);
    marks_came_through = marks_came_through && has_secrets(items[0].rs, count, 2 * real->size) &&
                         has_secrets(&verdict.again, 1, sizeof verdict.again) &&
                         has_secrets(&verdict.bad, 1, sizeof verdict.bad);
    (void)VALGRIND_MAKE_MEM_DEFINED(&verdict, sizeof verdict);
    return verdict;
}

/* Signs COUNT items; how many came out, or 0. */
static size_t sign(const struct ec_kernel *kernel, size_t count)
{
    struct ec_item items[EC_LANES_MAX];
    uint8_t keys[EC_LANES_MAX][EC_SIZE_MAX], hashes[EC_LANES_MAX][EC_SIZE_MAX];
    struct ec_scratch *scratch = ec_scratch_new(kernel);
    if (scratch == NULL)
        return 0;
    random_bytes(keys, sizeof keys);
    random_bytes(hashes, sizeof hashes);
    for (size_t i = 0; i < count; i++) {
        keys[i][0] &= 0x7f; /* below n */
        items[i] = (struct ec_item){.key = keys[i], .hash = hashes[i]};
    }
    (void)VALGRIND_MAKE_MEM_UNDEFINED(keys, sizeof keys);
    int err = ec_lanes_sign(scratch, items, count);
    ec_scratch_free(scratch);
    return err == 0 ? count : 0;
}

int main(void)
{
    static const struct ec_kernel *const kernels[] = {&ec_p256_portable, &ec_p384_portable};
    static const size_t counts[] = {1, 8, 13};
    size_t done = 0;
    if (!RUNNING_ON_VALGRIND || secret_init() != 0) {
        fprintf(stderr, "usage: valgrind … memcheck-ec\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        real = kernels[i];
        real->prepare();
        struct ec_kernel marked = *real;
        marked.derive = derive_marked;
        marked.sign = sign_marked;
        for (size_t j = 0; j < sizeof counts / sizeof counts[0]; j++)
            done += sign(&marked, counts[j]);
    }
    printf("%zu operations\n", done);
    return marks_came_through && done > 0 ? 0 : 1;
}
