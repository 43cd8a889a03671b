/* Does anything in the lanes' RSA branch on a secret, or look up memory by it?
 *
 * Under valgrind, which does not know the vector unit's instructions, with the portable kernel, which is made
 * of the same source. Undefined are: all of a key but its size and n, and the random numbers of its blinding,
 * and so everything that follows from these, the plaintext too. Defined becomes, once it has been computed,
 * which lanes have passed their check, because that is what everybody may see. With the name of a leak it
 * does the same with a kernel that has one, which must be found. */
#include <valgrind/memcheck.h>

#include "common/secret.h"

static void random_secret(void *out, size_t length);

#define random_bytes random_secret
#include "keyserver/lanes/rsa_lanes.c"
#undef random_bytes

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "common/log.h"

static const char *leak = "";
static unsigned operations, leaked;

static void random_secret(void *out, size_t length)
{
    random_bytes(out, length);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(out, length);
}

/* ---- the portable kernel, watched ---- */

static unsigned same_known(const struct lane_modulus *m, const struct lane_digit *a,
                           const struct lane_digit *b)
{
    unsigned bits = rsa_kernel_portable.same(m, a, b);
    (void)VALGRIND_MAKE_MEM_DEFINED(&bits, sizeof bits);
    return bits;
}

static void reduce_leaky(const struct lane_modulus *m, struct lane_digit *number)
{
    static const volatile uint8_t looked_up[256];
    uint8_t byte = (uint8_t)number[0].lane[0];
    rsa_kernel_portable.reduce(m, number);
    if (strcmp(leak, "address") == 0)
        leaked += looked_up[byte];
    else if (byte % 2 == 0) /* a branch */
        number[0].lane[0] += 0 * ++leaked;
}

/* ---- keys ---- */

struct pair {
    EVP_PKEY *pkey;
    struct rsa_lanes_key *key;
    struct rsa_lanes_blinding *blinding;
};

static bool take_number(EVP_PKEY *pkey, const char *name, uint8_t *out, size_t size)
{
    BIGNUM *number = NULL;
    bool good = EVP_PKEY_get_bn_param(pkey, name, &number) == 1 &&
                BN_bn2binpad(number, out, (int)size) == (int)size;
    BN_clear_free(number);
    return good;
}

/* The key of the file at PATH; a pair of the same has one of its own. */
static bool make_pair(struct pair *pair, const char *path)
{
    uint8_t n[RSA_LANES_SIZE_MAX], part[5][RSA_LANES_SIZE_MAX / 2];
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
                                        OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2,
                                        OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    FILE *file = fopen(path, "r");
    pair->pkey = file == NULL ? NULL : PEM_read_PrivateKey(file, NULL, NULL, NULL);
    if (file != NULL)
        fclose(file);
    size_t size = pair->pkey == NULL ? 0 : (size_t)EVP_PKEY_get_size(pair->pkey);
    const struct rsa_numbers numbers = {size,   RSA_LANES_EXPONENT, n, part[0], part[1], part[2], part[3],
                                        part[4]};
    bool good = size > 0 && size <= RSA_LANES_SIZE_MAX &&
                take_number(pair->pkey, OSSL_PKEY_PARAM_RSA_N, n, size);
    for (size_t i = 0; i < 5; i++)
        good = good && take_number(pair->pkey, names[i], part[i], size / 2);
    if (!good || rsa_lanes_key_new(&pair->key, &numbers) != 0)
        return false;
    pair->blinding = rsa_lanes_blinding_new(pair->key);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&pair->key->p, sizeof pair->key->p);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&pair->key->q, sizeof pair->key->q);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(pair->key->coefficient, sizeof pair->key->coefficient);
    return pair->blinding != NULL;
}

static void free_pair(struct pair *pair)
{
    rsa_lanes_blinding_free(pair->blinding);
    rsa_lanes_key_free(pair->key);
    EVP_PKEY_free(pair->pkey);
}

/* OUT ^ e is IN, and before it was looked at every byte of OUT had a bit that follows from a secret. */
static bool is_answer(const struct pair *pair, const uint8_t *in, uint8_t *out, size_t size)
{
    uint8_t bits[RSA_LANES_SIZE_MAX], again[RSA_LANES_SIZE_MAX];
    size_t again_size = sizeof again;
    bool good = VALGRIND_GET_VBITS(out, bits, size) == 1;
    for (size_t i = 0; i < size; i++)
        good = good && bits[i] != 0;
    (void)VALGRIND_MAKE_MEM_DEFINED(out, size);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pair->pkey, NULL);
    good = good && EVP_PKEY_encrypt_init(context) > 0 &&
           EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) > 0 &&
           EVP_PKEY_encrypt(context, again, &again_size, out, size) > 0 && memcmp(again, in, size) == 0;
    EVP_PKEY_CTX_free(context);
    return good;
}

static bool perform(struct rsa_lanes_scratch *scratch, const struct pair pairs[2], size_t count)
{
    uint8_t in[LANES][RSA_LANES_SIZE_MAX], out[LANES][RSA_LANES_SIZE_MAX];
    struct rsa_lanes_item items[LANES];
    size_t size = rsa_lanes_key_size(pairs[0].key);
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        random_bytes(in[i], size);
        in[i][0] = 0;
        items[i] = (struct rsa_lanes_item){.blinding = pairs[i % 2].blinding, .in = in[i], .out = out[i]};
    }
    rsa_lanes_perform(scratch, items, count);
    for (size_t i = 0; i < count; i++)
        good = is_answer(&pairs[i % 2], in[i], out[i], size) && items[i].err == 0 && good;
    operations += (unsigned)count;
    return good;
}

/* With a new blinding and with one that is squared, and with all lanes and half of them. Longer numbers go
 * the same ways, more often, which takes long here: of them half of the lanes, once; and of what has a leak.
 */
static bool perform_all(struct rsa_lanes_scratch *scratch, const char *path)
{
    struct pair pairs[2] = {{0}};
    bool good = make_pair(&pairs[0], path) && make_pair(&pairs[1], path) &&
                perform(scratch, pairs, LANES / 2 - 1);
    for (int round = 0; good && round < 2 && rsa_lanes_key_size(pairs[0].key) == 256 && leak[0] == '\0';
         round++)
        good = perform(scratch, pairs, LANES) && perform(scratch, pairs, LANES / 2);
    free_pair(&pairs[0]);
    free_pair(&pairs[1]);
    return good;
}

int main(int argc, char *argv[])
{
    struct rsa_kernel watched = rsa_kernel_portable;
    log_init("memcheck", LOG_ERROR, LOG_LOGFMT);
    watched.same = same_known;
    if (argc > 2 && (strcmp(argv[1], "branch") == 0 || strcmp(argv[1], "address") == 0)) {
        leak = *++argv;
        argc = 2; /* one key will do */
        watched.reduce = reduce_leaky;
    }
    if (argc < 2 || !RUNNING_ON_VALGRIND || secret_init() != 0) {
        fprintf(stderr, "usage: valgrind … memcheck-lanes [branch|address] RSA_KEY…\n");
        return 2;
    }
    struct rsa_lanes_scratch *scratch = rsa_lanes_scratch_new(&watched);
    bool good = scratch != NULL;
    for (int i = 1; good && i < argc; i++)
        good = perform_all(scratch, argv[i]);
    rsa_lanes_scratch_free(scratch);
    printf("%u operations\n", operations);
    return good && operations > 0 ? 0 : 1;
}
