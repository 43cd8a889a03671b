/* What a signature costs in lanes, beside OpenSSL with a context that is kept, in the same run.
 *
 *     lanes_ec [ROUNDS]
 *
 * Rounds are interleaved: each measures every number of items and OpenSSL. Prints µs of CPU a signature at
 * the median, the ratio to OpenSSL, and from how many items on the lanes win. */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/secret.h"
#include "keyserver/lanes/ec_kernel.h"
#include "keyserver/lanes/lanes.h"
#include "tests/bench/lanes_times.h"

#define ROUNDS     101
#define ROUNDS_MAX 10001

static const size_t counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 16, 24, 32};
#define COUNTS (sizeof counts / sizeof counts[0])

struct bench {
    const struct ec_kernel *kernel;
    struct ec_scratch *scratch;
    struct ec_item items[EC_LANES_MAX];
    uint8_t keys[EC_LANES_MAX][EC_SIZE_MAX], hashes[EC_LANES_MAX][EC_SIZE_MAX];
    EVP_PKEY_CTX *openssl;
    double *times[COUNTS + 1]; /* µs a call, a round each; OpenSSL's last */
};

static bool lanes(struct bench *bench, size_t count)
{
    uint8_t der[ECDSA_DER_MAX];
    bool good = ec_lanes_sign(bench->scratch, bench->items, count) == 0;
    for (size_t i = 0; i < count; i++)
        good = ecdsa_der(der, bench->items[i].rs, bench->kernel->size) > 0 && good;
    return good;
}

static bool openssl(struct bench *bench)
{
    uint8_t der[ECDSA_DER_MAX];
    size_t size = sizeof der;
    return EVP_PKEY_sign(bench->openssl, der, &size, bench->hashes[0], bench->kernel->size) == 1;
}

/* CPU time of one call; WHICH is a place in counts, or OpenSSL's. Repeated until a few hundred µs are full.
 */
static bool measure(struct bench *bench, size_t which, double *us)
{
    bool good = true;
    unsigned calls = 0;
    double start = cpu_us(), end;
    do {
        good = good && (which < COUNTS ? lanes(bench, counts[which]) : openssl(bench));
        calls++;
        end = cpu_us();
    } while (end - start < 300);
    *us = (end - start) / calls;
    return good;
}

static void report(struct bench *bench, size_t rounds)
{
    double one = median(bench->times[COUNTS], rounds);
    size_t wins = 0;
    printf("%s: OpenSSL %.2f\n  items   a call  a signature  OpenSSL / lanes\n", bench->kernel->name, one);
    for (size_t i = 0; i < COUNTS; i++) {
        double call = median(bench->times[i], rounds), each = call / (double)counts[i];
        printf("  %5zu  %7.2f      %7.3f  %7.1f\n", counts[i], call, each, one / each);
        if (wins == 0 && each < one)
            wins = counts[i];
    }
    printf("  worth it from %zu on\n", wins);
}

static bool run_kernel(const struct ec_kernel *kernel, const char *curve, size_t rounds)
{
    struct bench bench = {.kernel = kernel};
    EVP_PKEY *pkey = EVP_EC_gen(curve);
    kernel->prepare();
    bench.scratch = ec_scratch_new(kernel);
    bench.openssl = pkey == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool good = bench.scratch != NULL && bench.openssl != NULL && EVP_PKEY_sign_init(bench.openssl) == 1;
    random_bytes(bench.keys, sizeof bench.keys);
    random_bytes(bench.hashes, sizeof bench.hashes);
    for (size_t i = 0; i < EC_LANES_MAX; i++) {
        bench.keys[i][0] &= 0x7f; /* below n */
        bench.items[i] = (struct ec_item){.key = bench.keys[i], .hash = bench.hashes[i]};
    }
    for (size_t i = 0; i <= COUNTS; i++)
        good = (bench.times[i] = calloc(rounds, sizeof(double))) != NULL && good;
    for (size_t round = 0; good && round < rounds; round++)
        for (size_t i = 0; i <= COUNTS; i++)
            good = measure(&bench, i, &bench.times[i][round]) && good;
    if (good)
        report(&bench, rounds);
    for (size_t i = 0; i <= COUNTS; i++)
        free(bench.times[i]);
    ec_scratch_free(bench.scratch);
    EVP_PKEY_CTX_free(bench.openssl);
    EVP_PKEY_free(pkey);
    return good;
}

int main(int argc, char *argv[])
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;
    if (rounds == 0 || rounds > ROUNDS_MAX || secret_init() != 0) {
        fprintf(stderr, "usage: lanes_ec [ROUNDS]\n");
        return 2;
    }
    if ((lanes_features() & LANES_IFMA) != LANES_IFMA) {
        fprintf(stderr, "lanes_ec: this processor has no AVX-512 IFMA\n");
        return 1;
    }
    lanes_start(true, LANES_EVERYTHING);
    if (lanes_state(LANES_P256) != LANES_READY || lanes_state(LANES_P384) != LANES_READY) {
        fprintf(stderr, "lanes_ec: a kernel gives wrong answers\n");
        return 1;
    }
    return run_kernel(&ec_p256_ifma, "P-256", rounds) && run_kernel(&ec_p384_ifma, "P-384", rounds) ? 0 : 1;
}
