/* What an Ed25519 signature costs in lanes, beside libsodium and OpenSSL with a context that is kept, in the
 * same run.
 *
 *     lanes_ed [ROUNDS]
 *
 * Rounds are interleaved: each measures every number of items and the other two. Messages are those of TLS
 * 1.3. Prints µs of CPU a signature at the median, the ratio to libsodium, and from how many items on the
 * lanes win. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/secret.h"
#include "common/sign.h"
#include "keyserver/lanes/ed_lanes.h"
#include "keyserver/lanes/lanes.h"
#include "tests/bench/lanes_times.h"

#define ROUNDS     101
#define ROUNDS_MAX 10001
#define MESSAGE    (64 + 33 + 1 + 48) /* RFC 8446, 4.4.3, with SHA-384 */

static const size_t counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 16, 24, 32};
#define COUNTS (sizeof counts / sizeof counts[0])
enum { SODIUM = COUNTS, OPENSSL, WAYS };

struct bench {
    struct ed_scratch *scratch;
    struct ed_item items[ED_LANES_MAX];
    struct ed_key keys[ED_LANES_MAX];
    uint8_t seeds[ED_LANES_MAX][ED_SIZE], messages[ED_LANES_MAX][MESSAGE];
    struct sign_key sodium;
    EVP_MD_CTX *openssl;
    double *times[WAYS]; /* µs a call, a round each */
};

static bool sign(struct bench *bench, size_t way)
{
    uint8_t signature[2 * ED_SIZE];
    size_t size = sizeof signature;
    if (way < COUNTS)
        return ed_lanes_sign(bench->scratch, bench->items, counts[way]) == 0;
    if (way == OPENSSL)
        return EVP_DigestSign(bench->openssl, signature, &size, bench->messages[0], MESSAGE) == 1;
    sign_message(signature, &bench->sodium, bench->messages[0], MESSAGE);
    return true;
}

/* CPU time of one call. Repeated until a few hundred µs are full. */
static bool measure(struct bench *bench, size_t way, double *us)
{
    bool good = true;
    unsigned calls = 0;
    double start = cpu_us(), end;
    do {
        good = sign(bench, way) && good;
        calls++;
        end = cpu_us();
    } while (end - start < 300);
    *us = (end - start) / calls;
    return good;
}

static void report(struct bench *bench, size_t rounds)
{
    double one = median(bench->times[SODIUM], rounds);
    size_t wins = 0;
    printf("ed25519: libsodium %.2f, OpenSSL %.2f\n  items   a call  a signature  libsodium / lanes\n", one,
           median(bench->times[OPENSSL], rounds));
    for (size_t i = 0; i < COUNTS; i++) {
        double call = median(bench->times[i], rounds), each = call / (double)counts[i];
        printf("  %5zu  %7.2f      %7.3f  %7.1f\n", counts[i], call, each, one / each);
        if (wins == 0 && each < one)
            wins = counts[i];
    }
    printf("  worth it from %zu on\n", wins);
}

static bool start_bench(struct bench *bench, EVP_PKEY **pkey)
{
    bench->scratch = ed_scratch_new(lanes_ed());
    bench->openssl = EVP_MD_CTX_new();
    random_bytes(bench->seeds, sizeof bench->seeds);
    random_bytes(bench->messages, sizeof bench->messages);
    for (size_t i = 0; i < ED_LANES_MAX; i++) {
        ed_key_derive(&bench->keys[i], bench->seeds[i]);
        bench->items[i] = (struct ed_item){
            .key = &bench->keys[i], .message = bench->messages[i], .length = MESSAGE};
    }
    sign_derive(&bench->sodium, bench->seeds[0]);
    *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bench->seeds[0], ED_SIZE);
    return bench->scratch != NULL && bench->openssl != NULL && *pkey != NULL &&
           EVP_DigestSignInit(bench->openssl, NULL, NULL, NULL, *pkey) == 1;
}

static bool run_lanes(size_t rounds)
{
    static struct bench bench;
    EVP_PKEY *pkey = NULL;
    bool good = start_bench(&bench, &pkey);
    for (size_t i = 0; i < WAYS; i++)
        good = (bench.times[i] = calloc(rounds, sizeof(double))) != NULL && good;
    for (size_t round = 0; good && round < rounds; round++)
        for (size_t i = 0; i < WAYS; i++)
            good = measure(&bench, i, &bench.times[i][round]) && good;
    if (good)
        report(&bench, rounds);
    for (size_t i = 0; i < WAYS; i++)
        free(bench.times[i]);
    ed_scratch_free(bench.scratch);
    EVP_MD_CTX_free(bench.openssl);
    EVP_PKEY_free(pkey);
    return good;
}

int main(int argc, char *argv[])
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;
    if (rounds == 0 || rounds > ROUNDS_MAX || secret_init() != 0) {
        fprintf(stderr, "usage: lanes_ed [ROUNDS]\n");
        return 2;
    }
    lanes_start(true, LANES_EVERYTHING);
    if (lanes_ed() == NULL) {
        fprintf(stderr, "lanes_ed: the kernel is %s\n", lanes_state_text(lanes_state(LANES_ED25519)));
        return 1;
    }
    return run_lanes(rounds) ? 0 : 1;
}
