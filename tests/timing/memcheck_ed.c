/* Does anything in Ed25519's lanes branch on a secret, or look up memory by it?
 *
 * Under valgrind, with what is secret marked undefined: the scalars and the prefixes of the keys, from which
 * the nonces follow. The portable kernel runs, which has its source in common with that of the vector unit,
 * whose instructions valgrind does not know. Valgrind reports every jump and every address that depends on an
 * undefined byte. Messages are marked, too: only their lengths may show. */
#include <stdio.h>
#include <valgrind/memcheck.h>

#include "common/secret.h"
#include "keyserver/lanes/ed_kernel.h"
#include "tests/lib/random_below.h"

#define MESSAGE_MAX 300

/* True when both halves of a signature follow from a secret. */
static bool has_secrets(const uint8_t signature[2 * ED_SIZE])
{
    uint8_t bits[2 * ED_SIZE], any[2] = {0, 0};
    if (VALGRIND_GET_VBITS(signature, bits, sizeof bits) != 1)
        return false;
    for (size_t i = 0; i < sizeof bits; i++)
        any[i / ED_SIZE] |= bits[i];
    return any[0] != 0 && any[1] != 0;
}

/* Signs COUNT items; how many came out with the marks on them. */
static size_t sign(struct ed_scratch *scratch, size_t count)
{
    static struct ed_item items[ED_LANES_MAX];
    static struct ed_key keys[ED_LANES_MAX];
    static uint8_t messages[ED_LANES_MAX][MESSAGE_MAX];
    size_t good = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t seed[ED_SIZE];
        random_bytes(seed, sizeof seed);
        ed_key_derive(&keys[i], seed);
        random_bytes(messages[i], MESSAGE_MAX);
        items[i] = (struct ed_item){
            .key = &keys[i], .message = messages[i], .length = random_below(MESSAGE_MAX + 1)};
        (void)VALGRIND_MAKE_MEM_UNDEFINED(keys[i].scalar, ED_SIZE);
        (void)VALGRIND_MAKE_MEM_UNDEFINED(keys[i].prefix, ED_SIZE);
        (void)VALGRIND_MAKE_MEM_UNDEFINED(messages[i], MESSAGE_MAX);
    }
    if (ed_lanes_sign(scratch, items, count) != 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        good += has_secrets(items[i].signature);
    return good;
}

int main(void)
{
    static const size_t counts[] = {1, 8, 13};
    size_t done = 0, wanted = 0;
    if (!RUNNING_ON_VALGRIND || secret_init() != 0) {
        fprintf(stderr, "usage: valgrind … memcheck-ed\n");
        return 2;
    }
    ed25519_portable.prepare();
    struct ed_scratch *scratch = ed_scratch_new(&ed25519_portable);
    for (size_t i = 0; scratch != NULL && i < sizeof counts / sizeof counts[0]; i++) {
        done += sign(scratch, counts[i]);
        wanted += counts[i];
    }
    ed_scratch_free(scratch);
    printf("%zu operations\n", done);
    return done == wanted && done > 0 ? 0 : 1;
}
