/* The arithmetic of RSA in lanes, function by function and up to the limits that it promises, against
 * OpenSSL's. Each test runs with the portable kernel, and with the vector unit's where the machine has one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/lanes/lanes.h"
#include "keyserver/lanes/rsa_kernel.h"

static const size_t block_counts[] = {1, 2, 3, 4, 6, 8};
#define BLOCK_COUNTS (sizeof block_counts / sizeof block_counts[0])

/* Numbers that a lane may have: of 0 … 3 times its modulus and a little. */
#define VALUES 12

struct bench {
    struct lane_modulus m;
    size_t digits;
    BIGNUM *n[LANES], *r_inverse[LANES];
    struct lane_digit a[LANE_DIGITS_MAX], b[LANE_DIGITS_MAX], out[2 * LANE_DIGITS_MAX];
};

static BN_CTX *context;

static int start(void **state)
{
    (void)state;
    context = BN_CTX_new();
    return context == NULL ? -1 : secret_init();
}

static int stop(void **state)
{
    (void)state;
    BN_CTX_free(context);
    return 0;
}

/* ---- lanes and numbers ---- */

static void put(struct lane_digit *out, size_t lane, size_t digits, const BIGNUM *number)
{
    BIGNUM *rest = BN_dup(number), *low = BN_new();
    for (size_t i = 0; i < digits; i++) {
        assert_non_null(BN_copy(low, rest));
        (void)BN_mask_bits(low, LANE_DIGIT_BITS); /* fails when it is shorter already */
        out[i].lane[lane] = BN_get_word(low);
        assert_int_equal(BN_rshift(rest, rest, LANE_DIGIT_BITS), 1);
    }
    assert_true(BN_is_zero(rest));
    BN_free(rest);
    BN_free(low);
}

/* Every digit is one: below 2^52. */
static BIGNUM *get(const struct lane_digit *number, size_t lane, size_t digits)
{
    BIGNUM *out = BN_new();
    for (size_t i = digits; i-- > 0;) {
        assert_true(number[i].lane[lane] <= LANE_DIGIT_MASK);
        assert_int_equal(BN_lshift(out, out, LANE_DIGIT_BITS) & BN_add_word(out, number[i].lane[lane]), 1);
    }
    return out;
}

/* An odd modulus of the greatest length that leaves 16 bits: random in most lanes, the greatest and the least
 * in two. */
static BIGNUM *make_modulus(size_t lane, int bits)
{
    BIGNUM *n = BN_new();
    if (lane == 0)
        assert_int_equal(BN_set_bit(n, bits) & BN_sub_word(n, 1), 1);
    else if (lane == 1)
        assert_int_equal(BN_set_bit(n, bits - 1) & BN_set_bit(n, 0), 1);
    else
        assert_int_equal(BN_rand(n, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
    return n;
}

static uint64_t negative_inverse(const BIGNUM *n)
{
    BIGNUM *word = BN_new(), *inverse = BN_new();
    assert_int_equal(BN_set_bit(word, LANE_DIGIT_BITS), 1);
    assert_non_null(BN_mod_inverse(inverse, n, word, context));
    assert_int_equal(BN_sub(inverse, word, inverse), 1);
    uint64_t out = BN_get_word(inverse);
    BN_free(word);
    BN_free(inverse);
    return out;
}

static void open_bench(struct bench *bench, size_t blocks)
{
    int r_bits = (int)(LANE_BLOCK * blocks * LANE_DIGIT_BITS);
    *bench = (struct bench){.m.blocks = blocks, .digits = LANE_BLOCK * blocks};
    for (size_t lane = 0; lane < LANES; lane++) {
        BIGNUM *n = bench->n[lane] = make_modulus(lane, r_bits - 16), *r = BN_new(), *square = BN_new();
        bench->r_inverse[lane] = BN_new();
        assert_int_equal(BN_set_bit(r, r_bits), 1);
        assert_non_null(BN_mod_inverse(bench->r_inverse[lane], r, n, context));
        assert_int_equal(BN_mod_sqr(square, r, n, context), 1);
        put(bench->m.n, lane, bench->digits, n);
        put(bench->m.square, lane, bench->digits, square);
        bench->m.inverse.lane[lane] = negative_inverse(n);
        BN_free(r);
        BN_free(square);
    }
}

static void close_bench(struct bench *bench)
{
    for (size_t lane = 0; lane < LANES; lane++) {
        BN_free(bench->n[lane]);
        BN_free(bench->r_inverse[lane]);
    }
}

/* 0, 1, 2; n - 1, n, n + 1; 2n - 1; random ones below n, n + 2^52 … ; the last three, up to 4n - 1, only
 * where BELOW says 4. */
static BIGNUM *value_of(const BIGNUM *n, size_t which, unsigned below)
{
    BIGNUM *out = BN_new();
    which %= below == 4 ? VALUES : VALUES - 3;
    if (which < 3) {
        assert_int_equal(BN_set_word(out, which), 1);
    } else if (which < 6) {
        assert_int_equal(BN_copy(out, n) != NULL && BN_add_word(out, which - 3) && BN_sub_word(out, 1), 1);
    } else if (which < 9) {
        assert_int_equal(BN_rand_range(out, n), 1);
        if (which == 8)
            assert_int_equal(BN_add(out, out, n), 1);
        if (which == 6)
            assert_int_equal(BN_lshift1(out, n) && BN_sub_word(out, 1), 1);
    } else {
        assert_int_equal(BN_lshift(out, n, which == 10 ? 1 : 2) && BN_sub_word(out, which == 11 ? 2 : 1), 1);
    }
    return out;
}

/* A and B of each lane, another pair for each ROUND. */
static void choose(struct bench *bench, size_t round, unsigned below)
{
    for (size_t lane = 0; lane < LANES; lane++) {
        BIGNUM *a = value_of(bench->n[lane], round + lane, below);
        BIGNUM *b = value_of(bench->n[lane], round / VALUES + 5 * lane, below);
        put(bench->a, lane, bench->digits, a);
        put(bench->b, lane, bench->digits, b);
        BN_free(a);
        BN_free(b);
    }
}

/* OUT of LANE is EXPECTED modulo n, and below 2n. Frees both. */
static void assert_congruent(const struct bench *bench, size_t lane, BIGNUM *expected)
{
    BIGNUM *found = get(bench->out, lane, bench->digits), *limit = BN_dup(bench->n[lane]);
    assert_int_equal(BN_lshift1(limit, limit), 1);
    assert_true(BN_cmp(found, limit) < 0);
    assert_int_equal(BN_sub(found, found, expected) && BN_nnmod(found, found, bench->n[lane], context), 1);
    assert_true(BN_is_zero(found));
    BN_free(found);
    BN_free(limit);
    BN_free(expected);
}

/* a b / R modulo n. */
static BIGNUM *reduced_product(const struct bench *bench, size_t lane, const struct lane_digit *a,
                               const struct lane_digit *b)
{
    BIGNUM *x = get(a, lane, bench->digits), *y = get(b, lane, bench->digits);
    assert_int_equal(BN_mod_mul(x, x, y, bench->n[lane], context), 1);
    assert_int_equal(BN_mod_mul(x, x, bench->r_inverse[lane], bench->n[lane], context), 1);
    BN_free(y);
    return x;
}

/* ---- each function ---- */

static void products_up_to_four_moduli_equal_openssls(const struct rsa_kernel *kernel, size_t blocks)
{
    struct bench bench;
    open_bench(&bench, blocks);
    for (size_t round = 0; round < VALUES * VALUES; round++) {
        choose(&bench, round, 4);
        kernel->multiply(&bench.m, bench.out, bench.a, bench.b);
        for (size_t lane = 0; lane < LANES; lane++)
            assert_congruent(&bench, lane, reduced_product(&bench, lane, bench.a, bench.b));
        struct lane_digit same[LANE_DIGITS_MAX]; /* the result in the place of a factor */
        memcpy(same, bench.a, sizeof same);
        kernel->multiply(&bench.m, same, same, bench.b);
        assert_memory_equal(same, bench.out, bench.digits * sizeof same[0]);
        memcpy(same, bench.b, sizeof same);
        kernel->multiply(&bench.m, same, bench.a, same);
        assert_memory_equal(same, bench.out, bench.digits * sizeof same[0]);
    }
    close_bench(&bench);
}

static void squares_are_products(const struct rsa_kernel *kernel, size_t blocks)
{
    struct bench bench;
    open_bench(&bench, blocks);
    for (size_t round = 0; round < 4 * VALUES; round++) {
        struct lane_digit same[LANE_DIGITS_MAX];
        choose(&bench, round, 4);
        kernel->square(&bench.m, bench.out, bench.a);
        for (size_t lane = 0; lane < LANES; lane++)
            assert_congruent(&bench, lane, reduced_product(&bench, lane, bench.a, bench.a));
        memcpy(same, bench.a, sizeof same);
        kernel->square(&bench.m, same, same);
        assert_memory_equal(same, bench.out, bench.digits * sizeof same[0]);
    }
    close_bench(&bench);
}

/* Factors of which every digit is all ones: the sums are as great as they get. */
static void sums_of_the_greatest_digits_do_not_overflow(const struct rsa_kernel *kernel, size_t blocks)
{
    struct bench bench;
    open_bench(&bench, blocks);
    memset(bench.a, 0, sizeof bench.a);
    memset(bench.b, 0, sizeof bench.b);
    for (size_t i = 0; i < bench.digits; i++)
        for (size_t lane = 0; lane < LANES; lane++)
            bench.a[i].lane[lane] = bench.b[i].lane[lane] = LANE_DIGIT_MASK;
    kernel->product(&bench.m, bench.out, bench.a, bench.b, bench.a);
    for (size_t lane = 0; lane < LANES; lane++) {
        BIGNUM *a = get(bench.a, lane, bench.digits), *expected = BN_new();
        BIGNUM *found = get(bench.out, lane, 2 * bench.digits);
        assert_int_equal(BN_sqr(expected, a, context) && BN_add(expected, expected, a), 1);
        assert_int_equal(BN_cmp(found, expected), 0);
        BN_free(a);
        BN_free(expected);
        BN_free(found);
    }
    /* R n / R and a little: one factor of any size will do, when the other is below n. */
    for (size_t lane = 0; lane < LANES; lane++) {
        BIGNUM *b = BN_dup(bench.n[lane]);
        assert_int_equal(BN_sub_word(b, 1), 1);
        put(bench.b, lane, bench.digits, b);
        BN_free(b);
    }
    kernel->multiply(&bench.m, bench.out, bench.a, bench.b);
    for (size_t lane = 0; lane < LANES; lane++)
        assert_congruent(&bench, lane, reduced_product(&bench, lane, bench.a, bench.b));
    close_bench(&bench);
}

static void reduced_numbers_are_below_n(const struct rsa_kernel *kernel, size_t blocks)
{
    struct bench bench;
    open_bench(&bench, blocks);
    for (size_t round = 0; round < VALUES; round++) {
        choose(&bench, round, 2);
        memcpy(bench.out, bench.a, sizeof bench.a);
        kernel->reduce(&bench.m, bench.out);
        for (size_t lane = 0; lane < LANES; lane++) {
            BIGNUM *found = get(bench.out, lane, bench.digits);
            assert_true(BN_cmp(found, bench.n[lane]) < 0);
            BN_free(found);
            assert_congruent(&bench, lane, get(bench.a, lane, bench.digits));
        }
    }
    close_bench(&bench);
}

static void sums_and_differences_equal_openssls(const struct rsa_kernel *kernel, size_t blocks)
{
    struct bench bench;
    open_bench(&bench, blocks);
    for (size_t round = 0; round < VALUES * VALUES; round++) {
        struct lane_digit sum[LANE_DIGITS_MAX];
        choose(&bench, round, 2);
        kernel->add(&bench.m, sum, bench.a, bench.b);
        kernel->subtract(&bench.m, bench.out, bench.a, bench.b);
        for (size_t lane = 0; lane < LANES; lane++) {
            BIGNUM *a = get(bench.a, lane, bench.digits), *b = get(bench.b, lane, bench.digits);
            BIGNUM *found = get(sum, lane, bench.digits), *expected = BN_new();
            assert_int_equal(BN_add(expected, a, b), 1);
            assert_int_equal(BN_cmp(found, expected), 0);
            BN_free(found);
            found = get(bench.out, lane, bench.digits);
            assert_int_equal(BN_sub(expected, a, b) && BN_add(expected, expected, bench.n[lane]) &&
                                 BN_add(expected, expected, bench.n[lane]),
                             1);
            assert_int_equal(BN_cmp(found, expected), 0);
            BN_free(found);
            BN_free(expected);
            BN_free(a);
            BN_free(b);
        }
    }
    close_bench(&bench);
}

/* Exponents of 0, of ones, and any; each lane has its own. */
static void powers_equal_openssls(const struct rsa_kernel *kernel, size_t blocks)
{
    enum { WINDOWS = 29 };
    static struct lane_digit table[(RSA_WINDOW_SIZE + 1) * LANE_DIGITS_MAX];
    struct lane_digit exponents[LANE_DIGITS_MAX] = {{{0}}};
    struct bench bench;
    open_bench(&bench, blocks);
    choose(&bench, 17, 4);
    for (size_t lane = 0; lane < LANES; lane++) {
        BIGNUM *exponent = BN_new();
        if (lane > 0)
            assert_int_equal(BN_rand(exponent, 4 * WINDOWS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY), 1);
        if (lane == 1)
            assert_int_equal(BN_lshift(exponent, BN_value_one(), 4 * WINDOWS) && BN_sub_word(exponent, 1), 1);
        put(exponents, lane, bench.digits, exponent);
        BN_free(exponent);
    }
    kernel->power(&bench.m, bench.out, bench.a, exponents, WINDOWS, table);
    for (size_t lane = 0; lane < LANES; lane++) {
        BIGNUM *base = get(bench.a, lane, bench.digits), *exponent = get(exponents, lane, bench.digits);
        BIGNUM *r = BN_new();
        const BIGNUM *n = bench.n[lane];
        assert_int_equal(BN_set_bit(r, (int)(bench.digits * LANE_DIGIT_BITS)), 1);
        assert_int_equal(BN_mod_mul(base, base, bench.r_inverse[lane], n, context) &&
                             BN_mod_exp(base, base, exponent, n, context) &&
                             BN_mod_mul(base, base, r, n, context),
                         1);
        assert_congruent(&bench, lane, base);
        BN_free(exponent);
        BN_free(r);
    }
    close_bench(&bench);
}

static void one_bit_makes_a_lane_different_and_no_other(const struct rsa_kernel *kernel, size_t blocks)
{
    struct bench bench;
    open_bench(&bench, blocks);
    choose(&bench, 7, 2);
    memcpy(bench.b, bench.a, sizeof bench.b);
    assert_int_equal(kernel->same(&bench.m, bench.a, bench.b), (1u << LANES) - 1);
    for (size_t i = 0; i < bench.digits; i++)
        for (size_t lane = 0; lane < LANES; lane++) {
            uint64_t bit = UINT64_C(1) << (i * LANES + lane) % LANE_DIGIT_BITS;
            bench.b[i].lane[lane] ^= bit;
            assert_int_equal(kernel->same(&bench.m, bench.a, bench.b), ((1u << LANES) - 1) & ~(1u << lane));
            bench.b[i].lane[lane] ^= bit;
        }
    close_bench(&bench);
}

/* ---- each with each kernel and length ---- */

typedef void (*kernel_test)(const struct rsa_kernel *kernel, size_t blocks);

static void with_each_kernel(void **state)
{
    kernel_test test = *(kernel_test *)*state;
    for (size_t i = 0; i < BLOCK_COUNTS; i++)
        test(&rsa_kernel_portable, block_counts[i]);
#ifdef __x86_64__
    if ((lanes_features() & LANES_IFMA) == LANES_IFMA) {
        for (size_t i = 0; i < BLOCK_COUNTS; i++)
            test(&rsa_kernel_ifma, block_counts[i]);
        return;
    }
#endif
    print_message("without AVX-512 IFMA: only the portable kernel is tested\n");
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
        EACH(products_up_to_four_moduli_equal_openssls),   EACH(squares_are_products),
        EACH(sums_of_the_greatest_digits_do_not_overflow), EACH(reduced_numbers_are_below_n),
        EACH(sums_and_differences_equal_openssls),         EACH(powers_equal_openssls),
        EACH(one_bit_makes_a_lane_different_and_no_other),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
