/* CPU time of an RSA private-key operation in lanes, with blinding and check, for each number of operations
 * at once, beside OpenSSL's raw one in the same run. Each figure is the median of interleaved rounds.
 *
 *     lanes_rsa [ROUNDS=51] */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/secret.h"
#include "keyserver/lanes/lanes.h"
#include "keyserver/lanes/rsa_lanes.h"
#include "tests/bench/lanes_times.h"

#define ROUNDS_MAX 1001
#define KINDS      (LANES + 1) /* OpenSSL, then 1 … LANES at once */

struct bench {
    EVP_PKEY_CTX *openssl;
    struct rsa_lanes_key *key;
    struct rsa_lanes_blinding *blinding;
    struct rsa_lanes_scratch *scratch;
    size_t size;
    double us[KINDS][ROUNDS_MAX];
};

static void fail(const char *what)
{
    fprintf(stderr, "lanes: %s\n", what);
    exit(1);
}

static void take_number(EVP_PKEY *pkey, const char *name, uint8_t *out, size_t size)
{
    BIGNUM *number = NULL;
    if (EVP_PKEY_get_bn_param(pkey, name, &number) != 1 || BN_bn2binpad(number, out, (int)size) != (int)size)
        fail("a key without its numbers");
    BN_clear_free(number);
}

static void open_bench(struct bench *bench, size_t bits)
{
    static uint8_t n[RSA_LANES_SIZE_MAX], part[5][RSA_LANES_SIZE_MAX / 2];
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
                                        OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2,
                                        OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);
    bench->size = bits / 8;
    take_number(pkey, OSSL_PKEY_PARAM_RSA_N, n, bench->size);
    for (size_t i = 0; i < 5; i++)
        take_number(pkey, names[i], part[i], bench->size / 2);
    const struct rsa_numbers numbers = {
        bench->size, RSA_LANES_EXPONENT, n, part[0], part[1], part[2], part[3], part[4]};
    bench->scratch = rsa_lanes_scratch_new(lanes_rsa());
    if (rsa_lanes_key_new(&bench->key, &numbers) != 0 || bench->scratch == NULL ||
        (bench->blinding = rsa_lanes_blinding_new(bench->key)) == NULL)
        fail("out of memory");
    bench->openssl = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    if (EVP_PKEY_decrypt_init(bench->openssl) <= 0 ||
        EVP_PKEY_CTX_set_rsa_padding(bench->openssl, RSA_NO_PADDING) <= 0)
        fail("OpenSSL");
    EVP_PKEY_free(pkey);
}

static void close_bench(struct bench *bench)
{
    EVP_PKEY_CTX_free(bench->openssl);
    rsa_lanes_blinding_free(bench->blinding);
    rsa_lanes_key_free(bench->key);
    rsa_lanes_scratch_free(bench->scratch);
}

/* COUNT at once; 0: one by OpenSSL. Returns the time of all together. */
static double perform(struct bench *bench, size_t count)
{
    static uint8_t in[RSA_LANES_SIZE_MAX], out[LANES][RSA_LANES_SIZE_MAX];
    struct rsa_lanes_item items[LANES];
    size_t size = bench->size;
    random_bytes(in, size);
    in[0] = 0;
    for (size_t i = 0; i < count; i++)
        items[i] = (struct rsa_lanes_item){.blinding = bench->blinding, .in = in, .out = out[i]};
    double start = cpu_us();
    if (count > 0)
        rsa_lanes_perform(bench->scratch, items, count);
    else if (EVP_PKEY_decrypt(bench->openssl, out[0], &size, in, size) <= 0)
        fail("OpenSSL");
    double end = cpu_us();
    for (size_t i = 0; i < count; i++)
        if (items[i].err != 0)
            fail("a result did not pass its check");
    return end - start;
}

static void measure(size_t bits, size_t rounds)
{
    static struct bench bench;
    open_bench(&bench, bits);
    for (size_t round = 0; round < rounds; round++)
        for (size_t count = 0; count < KINDS; count++)
            bench.us[count][round] = perform(&bench, count);
    double openssl = median(bench.us[0], rounds);
    size_t worth = 0;
    printf("%8zu %9.0f", bits, openssl);
    for (size_t count = 1; count < KINDS; count++) {
        double each = median(bench.us[count], rounds) / (double)count;
        printf(" %7.0f", each);
        if (worth == 0 && each < openssl)
            worth = count;
    }
    printf(" %9.2f %6zu\n", openssl / (bench.us[LANES][rounds / 2] / LANES), worth);
    close_bench(&bench);
}

int main(int argc, char *argv[])
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 51;
    log_init("lanes", LOG_ERROR, LOG_LOGFMT);
    if (secret_init() != 0 || rounds < 1 || rounds > ROUNDS_MAX)
        fail("usage: lanes [ROUNDS]");
    lanes_start(true, LANES_EVERYTHING);
    if (lanes_rsa() == NULL)
        fail("this machine does not have the instructions (AVX-512 IFMA), or they are wrong");
    printf("CPU µs for one operation\n%8s %9s", "bits", "OpenSSL");
    for (int count = 1; count < KINDS; count++)
        printf(" %5d×", count);
    printf(" %9s %6s\n", "faster", "worth");
    for (size_t bits = 2048; bits <= 4096; bits += 1024)
        measure(bits, rounds);
    printf("faster: eight at once against OpenSSL; worth: from so many at once on\n");
    return 0;
}
