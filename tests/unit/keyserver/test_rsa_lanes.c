/* Every result is compared with OpenSSL's. Each test runs with the portable kernel, and with the vector
 * unit's where the machine has one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/process.h"
#include "common/secret.h"
#include "keyserver/lanes/lanes.h"
#include "keyserver/lanes/rsa_inside.h"
#include "keyserver/lanes/rsa_kernel.h"
#include "keyserver/lanes/rsa_lanes.h"
#include "tests/lib/random_below.h"
#include "tests/unit/keyserver/keys.h"

#define HALF_MAX (RSA_LANES_SIZE_MAX / 2)

/* A key as bytes, and its numbers for OpenSSL. */
struct numbers {
    size_t size;
    uint8_t n[RSA_LANES_SIZE_MAX], p[HALF_MAX], q[HALF_MAX], dp[HALF_MAX], dq[HALF_MAX], qinv[HALF_MAX];
    BIGNUM *modulus, *d, *e;
};

static BN_CTX *context;

static const struct rsa_kernel *const kernels[] = {
    &rsa_kernel_portable,
#ifdef __x86_64__
    &rsa_kernel_ifma,
#endif
};
#define KERNELS (sizeof kernels / sizeof kernels[0])

static bool can_run(const struct rsa_kernel *kernel)
{
    if (kernel == &rsa_kernel_portable)
        return true;
    if ((lanes_features() & LANES_IFMA) == LANES_IFMA)
        return true;
    print_message("without AVX-512 IFMA: only the portable kernel is tested\n");
    return false;
}

/* The portable kernel is a hundred times slower, and both are under a sanitizer. */
static unsigned rounds(const struct rsa_kernel *kernel, unsigned native, unsigned portable)
{
    if (PROCESS_SANITIZED && native > 4)
        native = 4;
    return kernel == &rsa_kernel_portable ? portable : native;
}

/* ---- keys ---- */

static struct rsa_numbers lent(const struct numbers *key)
{
    return (struct rsa_numbers){.size = key->size,
                                .e = RSA_LANES_EXPONENT,
                                .n = key->n,
                                .p = key->p,
                                .q = key->q,
                                .dp = key->dp,
                                .dq = key->dq,
                                .qinv = key->qinv};
}

static void put(uint8_t *out, size_t size, const BIGNUM *number)
{
    assert_int_equal(BN_bn2binpad(number, out, (int)size), size);
}

/* The key of the primes P and Q, of which each is SIZE / 2 bytes long. */
static void derive(struct numbers *key, size_t size, const BIGNUM *p, const BIGNUM *q)
{
    BIGNUM *p1 = BN_dup(p), *q1 = BN_dup(q), *phi = BN_new(), *number = BN_new();
    *key = (struct numbers){.size = size, .modulus = BN_new(), .d = BN_new(), .e = BN_new()};
    assert_int_equal(BN_sub_word(p1, 1) & BN_sub_word(q1, 1), 1);
    assert_int_equal(BN_mul(key->modulus, p, q, context), 1);
    assert_int_equal(BN_mul(phi, p1, q1, context), 1);
    assert_int_equal(BN_set_word(key->e, RSA_LANES_EXPONENT), 1);
    assert_non_null(BN_mod_inverse(key->d, key->e, phi, context));
    put(key->n, size, key->modulus);
    put(key->p, size / 2, p);
    put(key->q, size / 2, q);
    assert_int_equal(BN_nnmod(number, key->d, p1, context), 1);
    put(key->dp, size / 2, number);
    assert_int_equal(BN_nnmod(number, key->d, q1, context), 1);
    put(key->dq, size / 2, number);
    assert_non_null(BN_mod_inverse(number, q, p, context));
    put(key->qinv, size / 2, number);
    BN_free(p1);
    BN_free(q1);
    BN_free(phi);
    BN_free(number);
}

/* Key WHICH of BITS bits. */
static void make_key(struct numbers *key, size_t bits, size_t which)
{
    BIGNUM *p, *q;
    assert_true(primes_find_pair(bits / 2, which, &p, &q));
    derive(key, bits / 8, p, q);
    BN_free(p);
    BN_free(q);
}

static void free_numbers(struct numbers *key)
{
    BN_free(key->modulus);
    BN_free(key->d);
    BN_free(key->e);
}

/* 2048, 3072 and 4096 bits; two of each, made once. */
#define SIZES 3
static struct numbers keys[SIZES][2];

static int start(void **state)
{
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    if (secret_init() != 0 || (context = BN_CTX_new()) == NULL)
        return -1;
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < 2; j++)
            make_key(&keys[i][j], 2048 + 1024 * i, j);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < 2; j++)
            free_numbers(&keys[i][j]);
    BN_CTX_free(context);
    return 0;
}

/* ---- a thread with keys ---- */

#define RIG_KEYS 2
struct rig {
    const struct numbers *numbers[RIG_KEYS];
    struct rsa_lanes_key *key[RIG_KEYS];
    struct rsa_lanes_blinding *blinding[RIG_KEYS];
    struct rsa_lanes_scratch *scratch;
    struct rsa_lanes_item items[LANES];
    uint8_t in[LANES][RSA_LANES_SIZE_MAX], out[LANES][RSA_LANES_SIZE_MAX];
};

static void rig_open(struct rig *rig, const struct rsa_kernel *kernel, const struct numbers *first,
                     const struct numbers *second)
{
    *rig = (struct rig){.numbers = {first, second}, .scratch = rsa_lanes_scratch_new(kernel)};
    assert_non_null(rig->scratch);
    for (size_t i = 0; i < RIG_KEYS; i++) {
        struct rsa_numbers numbers = lent(rig->numbers[i]);
        assert_int_equal(rsa_lanes_key_new(&rig->key[i], &numbers), 0);
        assert_int_equal(rsa_lanes_key_size(rig->key[i]), numbers.size);
        rig->blinding[i] = rsa_lanes_blinding_new(rig->key[i]);
        assert_non_null(rig->blinding[i]);
    }
}

static void rig_close(struct rig *rig)
{
    for (size_t i = 0; i < RIG_KEYS; i++) {
        rsa_lanes_blinding_free(rig->blinding[i]);
        rsa_lanes_key_free(rig->key[i]);
    }
    rsa_lanes_scratch_free(rig->scratch);
}

/* Item AT asks for NUMBER with key WHICH of the rig. */
static void ask_number(struct rig *rig, size_t at, size_t which, const BIGNUM *number)
{
    put(rig->in[at], rig->numbers[which]->size, number);
    memset(rig->out[at], 0x5a, sizeof rig->out[at]);
    rig->items[at] = (struct rsa_lanes_item){
        .blinding = rig->blinding[which], .in = rig->in[at], .out = rig->out[at], .err = 1};
}

static void ask_random(struct rig *rig, size_t at, size_t which)
{
    BIGNUM *number = BN_new();
    assert_int_equal(BN_rand_range(number, rig->numbers[which]->modulus), 1);
    ask_number(rig, at, which, number);
    BN_free(number);
}

static void print_bytes(const char *name, const uint8_t *bytes, size_t size)
{
    char hex[2 * RSA_LANES_SIZE_MAX + 1];
    for (size_t i = 0; i < size; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    print_error("%s = %s\n", name, hex);
}

/* The keys and numbers are new in each run: what a wrong answer came of is said, so that it can be repeated.
 */
static void print_question(const struct rig *rig, size_t at, const struct numbers *key)
{
    print_error("item %zu: err %d\n", at, rig->items[at].err);
    print_bytes("p", key->p, key->size / 2);
    print_bytes("q", key->q, key->size / 2);
    print_bytes("in", rig->in[at], key->size);
    print_bytes("out", rig->out[at], key->size);
}

/* What item AT got is in ^ d, and nothing beyond it was written. OpenSSL says so by the power of e, a hundred
 * times quicker: below n there is one number only whose power is what was asked. */
static void assert_answer(const struct rig *rig, size_t at, size_t which)
{
    const struct numbers *key = rig->numbers[which];
    BIGNUM *number = BN_bin2bn(rig->out[at], (int)key->size, NULL),
           *asked = BN_bin2bn(rig->in[at], (int)key->size, NULL);
    bool good = rig->items[at].err == 0 && BN_cmp(number, key->modulus) < 0 &&
                BN_mod_exp(number, number, key->e, key->modulus, context) == 1 && BN_cmp(number, asked) == 0;
    BN_free(number);
    BN_free(asked);
    if (!good)
        print_question(rig, at, key);
    assert_true(good);
    for (size_t i = key->size; i < RSA_LANES_SIZE_MAX; i++)
        assert_int_equal(rig->out[at][i], 0x5a);
}

static void assert_refused(const struct rig *rig, size_t at)
{
    assert_int_equal(rig->items[at].err, ERR_CRYPTO);
    for (size_t i = 0; i < rig->numbers[0]->size; i++)
        assert_int_equal(rig->out[at][i], 0);
}

/* ---- results ---- */

static void random_numbers_with_mixed_keys(const struct rsa_kernel *kernel)
{
    struct rig rig;
    for (size_t size = 0; size < rounds(kernel, SIZES, 1); size++) {
        rig_open(&rig, kernel, &keys[size][0], &keys[size][1]);
        for (unsigned round = 0; round < rounds(kernel, 40, 2); round++) {
            uint8_t which[LANES];
            random_bytes(which, sizeof which);
            for (size_t i = 0; i < LANES; i++)
                ask_random(&rig, i, which[i] & 1);
            rsa_lanes_perform(rig.scratch, rig.items, LANES);
            for (size_t i = 0; i < LANES; i++)
                assert_answer(&rig, i, which[i] & 1);
        }
        rig_close(&rig);
    }
}

/* Up to half of the lanes go another way than more. The portable kernel gets one order of the keys each. */
static void batches_of_every_size(const struct rsa_kernel *kernel)
{
    struct rig rig;
    for (size_t size = 0; size < rounds(kernel, SIZES, 1); size++) {
        rig_open(&rig, kernel, &keys[size][0], &keys[size][1]);
        for (size_t count = LANES; count >= 1; count--)
            for (size_t first = rounds(kernel, 0, count % 2); first < rounds(kernel, 2, count % 2 + 1);
                 first++) {
                for (size_t i = 0; i < LANES; i++)
                    ask_random(&rig, i, (i + first) % 2);
                rsa_lanes_perform(rig.scratch, rig.items, count);
                for (size_t i = 0; i < count; i++)
                    assert_answer(&rig, i, (i + first) % 2);
                for (size_t i = count; i < LANES; i++) { /* not touched */
                    assert_int_equal(rig.items[i].err, 1);
                    assert_int_equal(rig.out[i][0], 0x5a);
                }
            }
        rig_close(&rig);
    }
}

/* 0, 1, 2, n - 1, n - 2, p, q, n - p; ones in all digits; plaintexts with fewer and fewer bits. */
static void extreme_numbers(const struct rsa_kernel *kernel)
{
    struct rig rig;
    for (size_t size = 0; size < rounds(kernel, SIZES, 2); size++) {
        const struct numbers *key = &keys[size][0];
        BIGNUM *p = BN_bin2bn(key->p, (int)key->size / 2, NULL),
               *q = BN_bin2bn(key->q, (int)key->size / 2, NULL);
        BIGNUM *number = BN_new();
        rig_open(&rig, kernel, key, &keys[size][1]);
        for (size_t i = 0; i < LANES; i++) {
            assert_non_null(i < 3 || i == 5 || i == 6 ? BN_copy(number, i == 6 ? q : p)
                                                      : BN_copy(number, key->modulus));
            if (i < 3)
                assert_int_equal(BN_set_word(number, i), 1);
            if (i == 3 || i == 4)
                assert_int_equal(BN_sub_word(number, i - 2), 1);
            if (i == 7)
                assert_int_equal(BN_sub(number, number, p), 1);
            ask_number(&rig, i, 0, number);
        }
        rsa_lanes_perform(rig.scratch, rig.items, LANES);
        for (size_t i = 0; i < LANES; i++)
            assert_answer(&rig, i, 0);
        for (size_t i = 0; i < LANES; i++) {
            memset(rig.in[i], 0xff, key->size);
            rig.in[i][0] = (uint8_t)(i == 0 ? 0x7f : 0x7f >> i); /* below n, whose highest bit is set */
        }
        rsa_lanes_perform(rig.scratch, rig.items, LANES);
        for (size_t i = 0; i < LANES; i++)
            assert_answer(&rig, i, 0);
        BN_free(p);
        BN_free(q);
        BN_free(number);
        rig_close(&rig);
    }
}

static void plaintexts_that_begin_with_zeros(const struct rsa_kernel *kernel)
{
    struct rig rig;
    const struct numbers *key = &keys[0][0];
    rig_open(&rig, kernel, key, &keys[0][1]);
    for (unsigned round = 0; round < rounds(kernel, 16, 2); round++) {
        for (size_t i = 0; i < LANES; i++) {
            BIGNUM *plain = BN_new();
            assert_int_equal(
                BN_rand(plain, (int)(1 + 16 * i + 127 * round), BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY), 1);
            assert_int_equal(BN_mod_exp(plain, plain, key->e, key->modulus, context), 1);
            ask_number(&rig, i, 0, plain);
            BN_free(plain);
        }
        rsa_lanes_perform(rig.scratch, rig.items, LANES);
        for (size_t i = 0; i < LANES; i++)
            assert_answer(&rig, i, 0);
    }
    rig_close(&rig);
}

/* The greatest primes of half the size; and the least that still make n of full size, with the first again.
 */
static void primes_at_the_ends_of_their_range(const struct rsa_kernel *kernel)
{
    static const struct {
        BN_ULONG below[2]; /* 2 ^ bits */
        BN_ULONG above;    /* 2 ^ (bits - 1) */
    } ends[SIZES] = {{{105, 179}, 1051095}, {{3453, 4977}, 1048595}, {{1557, 2543}, 1050171}};
    struct rig rig;
    struct numbers high, low;
    for (size_t size = 0; size < rounds(kernel, SIZES, 1); size++) {
        int bits = (int)(1024 + 512 * size);
        BIGNUM *p = BN_new(), *q = BN_new(), *r = BN_new();
        assert_int_equal(BN_set_bit(p, bits) & BN_sub_word(p, ends[size].below[0]), 1);
        assert_int_equal(BN_set_bit(q, bits) & BN_sub_word(q, ends[size].below[1]), 1);
        assert_int_equal(BN_set_bit(r, bits - 1) & BN_add_word(r, ends[size].above), 1);
        derive(&high, (size_t)bits / 4, p, q);
        derive(&low, (size_t)bits / 4, p, r); /* q is about half of p */
        rig_open(&rig, kernel, &high, &low);
        for (unsigned round = 0; round < 3; round++) {
            for (size_t i = 0; i < LANES; i++)
                ask_random(&rig, i, i % 2);
            rsa_lanes_perform(rig.scratch, rig.items, LANES);
            for (size_t i = 0; i < LANES; i++)
                assert_answer(&rig, i, i % 2);
        }
        rig_close(&rig);
        free_numbers(&low);
        derive(&low, (size_t)bits / 4, r, p); /* and twice it */
        rig_open(&rig, kernel, &high, &low);
        for (size_t i = 0; i < LANES; i++)
            ask_random(&rig, i, 1);
        rsa_lanes_perform(rig.scratch, rig.items, LANES);
        for (size_t i = 0; i < LANES; i++)
            assert_answer(&rig, i, 1);
        rig_close(&rig);
        free_numbers(&high);
        free_numbers(&low);
        BN_free(p);
        BN_free(q);
        BN_free(r);
    }
}

static void answers_may_take_the_place_of_questions(const struct rsa_kernel *kernel)
{
    struct rig rig;
    rig_open(&rig, kernel, &keys[0][0], &keys[0][1]);
    for (size_t i = 0; i < LANES; i++) {
        ask_random(&rig, i, 0);
        memcpy(rig.out[i], rig.in[i], keys[0][0].size);
        rig.items[i].in = rig.out[i];
    }
    rsa_lanes_perform(rig.scratch, rig.items, LANES);
    for (size_t i = 0; i < LANES; i++)
        assert_answer(&rig, i, 0);
    rig_close(&rig);
}

/* ---- faults ---- */

static void flip(uint8_t *number, size_t size, size_t bit)
{
    number[size - 1 - bit / 8] ^= (uint8_t)(1 << bit % 8);
}

/* Flips a bit of EXPONENT that leaves it below PRIME, as the exponent of a key is, and says which. */
static size_t flip_any(uint8_t *exponent, const uint8_t *prime, size_t size)
{
    for (;;) {
        size_t bit = random_below((uint32_t)(8 * size));
        flip(exponent, size, bit);
        if (memcmp(exponent, prime, size) < 0)
            return bit;
        flip(exponent, size, bit);
    }
}

/* Every bit position of dp and dq now and then: of the lane that is hit nothing comes out, of the others all.
 */
static void a_fault_in_one_half_gives_nothing_and_in_one_lane_alone(const struct rsa_kernel *kernel)
{
    struct rig rig;
    struct numbers faulty = keys[0][0];
    unsigned faults = rounds(kernel, 400, 3);
    for (unsigned fault = 0; fault < faults; fault++) {
        size_t count = 1 + random_below(LANES), hit = fault % count, half = faulty.size / 2;
        uint8_t *number = fault % 2 == 0 ? faulty.dp : faulty.dq;
        size_t bit = flip_any(number, fault % 2 == 0 ? faulty.p : faulty.q, half);
        rig_open(&rig, kernel, &keys[0][0], &faulty);
        for (size_t i = 0; i < LANES; i++)
            ask_random(&rig, i, i == hit);
        rsa_lanes_perform(rig.scratch, rig.items, count);
        for (size_t i = 0; i < count; i++)
            if (i == hit)
                assert_refused(&rig, i);
            else
                assert_answer(&rig, i, 0);
        rig_close(&rig);
        flip(number, half, bit);
    }
}

static void numbers_that_do_not_belong_together_give_nothing(const struct rsa_kernel *kernel)
{
    struct rig rig;
    struct numbers wrong[] = {keys[0][0], keys[0][0], keys[0][0]};
    wrong[0].n[100] ^= 1;
    wrong[1].qinv[100] ^= 1;
    wrong[2].p[100] ^= 2;
    for (size_t i = 0; i < 3; i++) {
        rig_open(&rig, kernel, &keys[0][0], &wrong[i]);
        for (unsigned round = 0; round < 2; round++) {
            for (size_t at = 0; at < LANES; at++)
                ask_random(&rig, at, at == 3);
            rig.in[3][0] = 0;
            rsa_lanes_perform(rig.scratch, rig.items, LANES);
            for (size_t at = 0; at < LANES; at++)
                if (at == 3)
                    assert_refused(&rig, at);
                else
                    assert_answer(&rig, at, 0);
        }
        rig_close(&rig);
    }
}

/* ---- blinding ---- */

/* What the private exponent meets is not what was asked, and never twice the same; it is made of random
 * numbers. */
static void blindings_change_with_each_use_and_begin_anew(const struct rsa_kernel *kernel)
{
    struct rig rig;
    struct lane_digit before[LANE_DIGITS_MAX];
    rig_open(&rig, kernel, &keys[0][0], &keys[0][1]);
    struct rsa_lanes_blinding *blinding = rig.blinding[0];
    unsigned uses = rounds(kernel, RSA_LANES_USES + 2, 3), renewals = 0;
    for (unsigned use = 0; use < uses; use++) {
        unsigned left = blinding->uses_left[0];
        memcpy(before, blinding->reveal, sizeof before);
        for (size_t i = 0; i < LANES; i++)
            ask_random(&rig, i, 0);
        rsa_lanes_perform(rig.scratch, rig.items, LANES);
        assert_answer(&rig, use % LANES, 0);
        for (size_t lane = 0; lane < LANES; lane++) {
            assert_int_not_equal(before[0].lane[lane], blinding->reveal[0].lane[lane]);
            assert_int_not_equal(blinding->reveal[0].lane[lane],
                                 blinding->reveal[0].lane[(lane + 1) % LANES]);
            assert_int_equal(blinding->uses_left[lane], (left == 0 ? RSA_LANES_USES : left) - 1);
        }
        renewals += left == 0;
    }
    assert_int_equal(renewals, (uses + RSA_LANES_USES - 1) / RSA_LANES_USES);
    rig_close(&rig);
}

static void a_fault_renews_the_blinding_of_its_lane(const struct rsa_kernel *kernel)
{
    struct rig rig;
    struct numbers faulty = keys[0][0];
    faulty.dq[64] ^= 4;
    rig_open(&rig, kernel, &keys[0][0], &faulty);
    for (size_t i = 0; i < LANES; i++)
        ask_random(&rig, i, i == 5);
    rsa_lanes_perform(rig.scratch, rig.items, LANES);
    for (size_t i = 0; i < LANES; i++)
        assert_int_equal(rig.blinding[i == 5]->uses_left[i], i == 5 ? 0 : RSA_LANES_USES - 1);
    rig_close(&rig);
}

/* A pair that was hit is not noticed by the check, which looks at what was hidden; it gives a wrong number,
 * not a key. */
static void a_blinding_that_was_hit_gives_no_answer_of_the_key(const struct rsa_kernel *kernel)
{
    struct rig rig;
    rig_open(&rig, kernel, &keys[0][0], &keys[0][1]);
    for (size_t i = 0; i < LANES; i++)
        ask_random(&rig, i, 0);
    rsa_lanes_perform(rig.scratch, rig.items, LANES);
    rig.blinding[0]->reveal[3].lane[2] ^= 1;
    rsa_lanes_perform(rig.scratch, rig.items, LANES);
    for (size_t i = 0; i < LANES; i++)
        if (i != 2)
            assert_answer(&rig, i, 0);
    /* The faulty number is neither right modulo p nor modulo q. */
    BIGNUM *found = BN_bin2bn(rig.out[2], (int)keys[0][0].size, NULL),
           *asked = BN_bin2bn(rig.in[2], (int)keys[0][0].size, NULL);
    assert_int_equal(BN_mod_exp(found, found, keys[0][0].e, keys[0][0].modulus, context), 1);
    assert_int_equal(BN_sub(found, found, asked), 1);
    assert_int_equal(BN_gcd(found, found, keys[0][0].modulus, context), 1);
    assert_true(BN_is_one(found));
    BN_free(found);
    BN_free(asked);
    rig_close(&rig);
}

/* ---- memory, keys ---- */

static void nothing_is_left_in_the_scratch(const struct rsa_kernel *kernel)
{
    struct rig rig;
    size_t size = rounds(kernel, SIZES, 1) - 1;
    rig_open(&rig, kernel, &keys[size][0], &keys[size][1]);
    for (size_t i = 0; i < LANES; i++)
        ask_random(&rig, i, i % 2);
    rsa_lanes_perform(rig.scratch, rig.items, LANES);
    const uint8_t *bytes = (const uint8_t *)rig.scratch;
    const struct rsa_kernel *named;
    memcpy(&named, bytes, sizeof named);
    assert_ptr_equal(named, kernel);
    for (size_t i = sizeof named; i < sizeof *rig.scratch; i++)
        assert_int_equal(bytes[i], 0);
    rig_close(&rig);
}

static void keys_of_other_kinds_are_not_supported(void **state)
{
    static const size_t sizes[] = {0, 128, 255, 257, 320, 385, 511, 513, 1024};
    struct rsa_lanes_key *key = NULL;
    struct numbers changed = keys[0][0];
    struct rsa_numbers numbers = lent(&changed);
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        numbers.size = sizes[i];
        assert_int_equal(rsa_lanes_key_new(&key, &numbers), ERR_UNSUPPORTED);
        assert_null(key);
    }
    numbers.size = 256;
    for (numbers.e = 3; numbers.e < 65540; numbers.e = numbers.e == 3 ? 65536 : numbers.e + 1)
        if (numbers.e != 65537)
            assert_int_equal(rsa_lanes_key_new(&key, &numbers), ERR_UNSUPPORTED);
    numbers.e = 65537;
    uint8_t *const moduli[] = {changed.n, changed.p, changed.q};
    for (size_t i = 0; i < 3; i++) {
        size_t size = i == 0 ? 256 : 128;
        moduli[i][0] ^= 0x80; /* shorter */
        assert_int_equal(rsa_lanes_key_new(&key, &numbers), ERR_UNSUPPORTED);
        moduli[i][0] ^= 0x80;
        moduli[i][size - 1] ^= 1; /* even */
        assert_int_equal(rsa_lanes_key_new(&key, &numbers), ERR_UNSUPPORTED);
        moduli[i][size - 1] ^= 1;
    }
    const uint8_t *const limits[] = {changed.p, changed.q, changed.p};
    const uint8_t **const limited[] = {&numbers.dp, &numbers.dq, &numbers.qinv};
    for (size_t i = 0; i < 3; i++) {
        const uint8_t *right = *limited[i];
        uint8_t number[HALF_MAX];
        memcpy(number, limits[i], 128);
        *limited[i] = number; /* p itself */
        assert_int_equal(rsa_lanes_key_new(&key, &numbers), ERR_UNSUPPORTED);
        number[127] ^= 1; /* p - 1 */
        assert_int_equal(rsa_lanes_key_new(&key, &numbers), 0);
        rsa_lanes_key_free(key);
        *limited[i] = right;
    }
    assert_int_equal(rsa_lanes_key_new(&key, &numbers), 0);
    rsa_lanes_key_free(key);
    rsa_lanes_key_free(NULL);
    rsa_lanes_blinding_free(NULL);
    rsa_lanes_scratch_free(NULL);
}

static void kernels_give_the_known_answers(const struct rsa_kernel *kernel)
{
    assert_true(rsa_lanes_self_test(kernel));
}

/* ---- each with each kernel ---- */

typedef void (*kernel_test)(const struct rsa_kernel *kernel);

static void with_each_kernel(void **state)
{
    kernel_test test = *(kernel_test *)*state;
    for (size_t i = 0; i < KERNELS; i++)
        if (can_run(kernels[i]))
            test(kernels[i]);
}

#define EACH(test)                                                                                           \
    {                                                                                                        \
#test, with_each_kernel, NULL, NULL, &(kernel_test)                                                  \
        {                                                                                                    \
            test                                                                                             \
        }                                                                                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(kernels_give_the_known_answers),
        EACH(random_numbers_with_mixed_keys),
        EACH(batches_of_every_size),
        EACH(extreme_numbers),
        EACH(plaintexts_that_begin_with_zeros),
        EACH(primes_at_the_ends_of_their_range),
        EACH(answers_may_take_the_place_of_questions),
        EACH(a_fault_in_one_half_gives_nothing_and_in_one_lane_alone),
        EACH(numbers_that_do_not_belong_together_give_nothing),
        EACH(blindings_change_with_each_use_and_begin_anew),
        EACH(a_fault_renews_the_blinding_of_its_lane),
        EACH(a_blinding_that_was_hit_gives_no_answer_of_the_key),
        EACH(nothing_is_left_in_the_scratch),
        cmocka_unit_test(keys_of_other_kinds_are_not_supported),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
