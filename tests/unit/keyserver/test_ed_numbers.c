/* What Ed25519 in lanes is made of, at its limits, against OpenSSL's numbers and libsodium's points: products
 * modulo p, hashes modulo L, every point of the table, and multiples that random nonces never ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <sodium.h>
#include <string.h>

#include "keyserver/lanes/ed_portable.c"

static BIGNUM *p, *order, *d2;
static BN_CTX *bn;

static BIGNUM *of_digits(const uint64_t *digits, size_t stride)
{
    BIGNUM *sum = BN_new(), *digit = BN_new();
    for (size_t i = EC_DIGITS; i-- > 0;) {
        assert_int_equal(BN_lshift(sum, sum, DIGIT_BITS), 1);
        assert_int_equal(BN_set_word(digit, digits[i * stride]), 1);
        assert_int_equal(BN_add(sum, sum, digit), 1);
    }
    BN_free(digit);
    return sum;
}

static BIGNUM *of_lane(const struct number *number, size_t lane)
{
    return of_digits(&number->digit[0][lane], VEC_LANES);
}

static void put_lane(struct number *number, size_t lane, const BIGNUM *value)
{
    uint8_t bytes[8 * EC_DIGITS];
    BIGNUM *rest = BN_dup(value), *digit = BN_new();
    for (size_t i = 0; i < EC_DIGITS; i++) {
        assert_non_null(BN_copy(digit, rest));
        if (BN_num_bits(digit) > DIGIT_BITS)
            assert_int_equal(BN_mask_bits(digit, DIGIT_BITS), 1);
        assert_int_equal(BN_bn2lebinpad(digit, bytes, 8), 8);
        memcpy(&number->digit[i][lane], bytes, 8);
        assert_int_equal(BN_rshift(rest, rest, DIGIT_BITS), 1);
    }
    assert_true(BN_is_zero(rest));
    BN_free(rest);
    BN_free(digit);
}

static int start(void **state)
{
    (void)state;
    if (secret_init() != 0)
        return -1;
    comb_prepare();
    bn = BN_CTX_new();
    p = of_digits(field_p, 1);
    order = of_digits(order_n, 1);
    d2 = of_digits(curve_2d, 1);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    BN_free(p);
    BN_free(order);
    BN_free(d2);
    BN_CTX_free(bn);
    return 0;
}

/* ---- numbers ---- */

/* 2^SHIFT + ADD, negative below. */
static BIGNUM *near_power(int shift, int add)
{
    BIGNUM *out = BN_new();
    assert_int_equal(BN_set_bit(out, shift), 1);
    assert_int_equal(add < 0 ? BN_sub_word(out, (BN_ULONG)-add) : BN_add_word(out, (BN_ULONG)add), 1);
    return out;
}

#define NUMBERS 16
static void make_numbers(BIGNUM *out[static NUMBERS])
{
    static const struct {
        int shift, add;
    } near[] = {{0, -1},  {0, 0},    {255, -20},  {255, -19}, {255, -18}, {255, -1},
                {256, 0}, {260, -1}, {260, -608}, {208, -1},  {52, -1},   {259, 1}};
    size_t count = sizeof near / sizeof near[0];
    for (size_t i = 0; i < count; i++)
        out[i] = near_power(near[i].shift, near[i].add);
    for (size_t i = count; i < NUMBERS; i++) {
        out[i] = BN_new();
        assert_int_equal(BN_rand(out[i], 260, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY), 1);
    }
}

/* A raw product is right, and as small as is said. */
static void expect_product(const BIGNUM *a, const BIGNUM *b)
{
    struct number in[2], out;
    vec x[EC_DIGITS], y[EC_DIGITS];
    BIGNUM *expected = BN_new(), *limit = near_power(255, 0), *more = near_power(216, 0);
    assert_int_equal(BN_add(limit, limit, more), 1);
    assert_int_equal(BN_mod_mul(expected, a, b, p, bn), 1);
    for (size_t lane = 0; lane < VEC_LANES; lane++) {
        put_lane(&in[0], lane, a);
        put_lane(&in[1], lane, b);
    }
    number_load(x, &in[0]);
    number_load(y, &in[1]);
    field_multiply(x, x, y);
    number_store(&out, x);
    for (size_t lane = 0; lane < VEC_LANES; lane++) {
        BIGNUM *found = of_lane(&out, lane);
        for (size_t i = 0; i < EC_DIGITS; i++)
            assert_true(out.digit[i][lane] <= DIGIT_MASK);
        assert_true(BN_cmp(found, limit) < 0);
        assert_int_equal(BN_nnmod(found, found, p, bn), 1);
        assert_int_equal(BN_cmp(found, expected), 0);
        BN_free(found);
    }
    BN_free(expected);
    BN_free(limit);
    BN_free(more);
}

static void products_of_the_largest_numbers_are_right(void **state)
{
    BIGNUM *numbers[NUMBERS];
    (void)state;
    make_numbers(numbers);
    for (size_t i = 0; i < NUMBERS; i++)
        for (size_t j = 0; j < NUMBERS; j++)
            expect_product(numbers[i], numbers[j]);
    for (size_t i = 0; i < NUMBERS; i++)
        BN_free(numbers[i]);
}

/* HASH, 64 bytes, modulo L. */
static void expect_hash(const uint8_t hash[static 64])
{
    const uint8_t *from[VEC_LANES];
    vec words[HASH_WORDS], a[EC_DIGITS], one[EC_DIGITS];
    struct number out;
    BIGNUM *expected = BN_lebin2bn(hash, 64, NULL);
    assert_int_equal(BN_nnmod(expected, expected, order, bn), 1);
    for (size_t lane = 0; lane < VEC_LANES; lane++)
        from[lane] = hash;
    words_get(words, from, HASH_WORDS);
    order_of_hash(a, words);
    number_all(one, field_one);
    order_multiply(a, a, one);
    number_reduce(a, a, order_n);
    number_store(&out, a);
    for (size_t lane = 0; lane < VEC_LANES; lane++) {
        BIGNUM *found = of_lane(&out, lane);
        assert_int_equal(BN_cmp(found, expected), 0);
        BN_free(found);
    }
    BN_free(expected);
}

static void hashes_of_every_size_are_reduced(void **state)
{
    uint8_t hash[64] = {0};
    (void)state;
    expect_hash(hash);
    for (size_t i = 0; i < sizeof hash; i++) { /* from below as from above, to all ones */
        hash[i] = 0xff;
        expect_hash(hash);
    }
    for (size_t i = 0; i < sizeof hash; i++) {
        hash[i] = 0;
        expect_hash(hash);
    }
    for (int add = -1; add <= 1; add++) { /* L - 1, L, L + 1 */
        BIGNUM *near = BN_dup(order);
        assert_int_equal(add < 0 ? BN_sub_word(near, 1) : BN_add_word(near, (BN_ULONG)add), 1);
        assert_int_equal(BN_bn2lebinpad(near, hash, sizeof hash), sizeof hash);
        expect_hash(hash);
        BN_free(near);
    }
}

/* ---- points ---- */

/* OUT = K B, encoded, by libsodium, which has no encoding for what is zero modulo L. */
static void multiple(uint8_t out[static EC_SIZE], const BIGNUM *k)
{
    uint8_t scalar[EC_SIZE];
    BIGNUM *rest = BN_new();
    assert_int_equal(BN_nnmod(rest, k, order, bn), 1);
    assert_int_equal(BN_bn2lebinpad(rest, scalar, sizeof scalar), sizeof scalar);
    memset(out, 0, EC_SIZE);
    out[0] = 1;
    if (!BN_is_zero(rest))
        assert_int_equal(crypto_scalarmult_ed25519_base_noclamp(out, scalar), 0);
    BN_free(rest);
}

static void encode(uint8_t out[static EC_SIZE], const BIGNUM *x, const BIGNUM *y)
{
    assert_int_equal(BN_bn2lebinpad(y, out, EC_SIZE), EC_SIZE);
    out[EC_SIZE - 1] |= (uint8_t)(BN_is_odd(x) << 7);
}

/* The three numbers of an entry belong together, and are below p; X and Y = the point. */
static void expect_entry(const uint64_t row[static COORDINATES][ROW_POINTS], size_t place, BIGNUM *x,
                         BIGNUM *y)
{
    BIGNUM *sum = of_digits(&row[0][place], ROW_POINTS);
    BIGNUM *difference = of_digits(&row[EC_DIGITS][place], ROW_POINTS);
    BIGNUM *product = of_digits(&row[2 * EC_DIGITS][place], ROW_POINTS);
    BIGNUM *half = BN_new(), *other = BN_new();
    assert_true(BN_cmp(sum, p) < 0 && BN_cmp(difference, p) < 0 && BN_cmp(product, p) < 0);
    assert_int_equal(BN_add(half, p, BN_value_one()), 1);
    assert_int_equal(BN_rshift1(half, half), 1); /* 1 / 2 */
    assert_int_equal(BN_mod_sub(x, sum, difference, p, bn), 1);
    assert_int_equal(BN_mod_mul(x, x, half, p, bn), 1);
    assert_int_equal(BN_mod_add(y, sum, difference, p, bn), 1);
    assert_int_equal(BN_mod_mul(y, y, half, p, bn), 1);
    assert_int_equal(BN_mod_mul(other, x, y, p, bn), 1);
    assert_int_equal(BN_mod_mul(half, other, d2, p, bn), 1);
    assert_int_equal(BN_cmp(half, product), 0);
    assert_int_equal(BN_mod_mul(half, half, other, p, bn), 1); /* 2 d x² y² */
    assert_int_equal(BN_mod_mul(other, sum, difference, p, bn), 1);
    assert_int_equal(BN_mod_lshift1(other, other, p, bn), 1); /* 2 (y² - x²) */
    assert_int_equal(BN_mod_sub(other, other, half, p, bn), 1);
    assert_true(BN_is_word(other, 2)); /* on the curve */
    BN_free(sum);
    BN_free(difference);
    BN_free(product);
    BN_free(half);
    BN_free(other);
}

static void every_point_of_the_table_is_its_multiple(void **state)
{
    (void)state;
    for (int row = 0; row < EC_ROWS; row++) {
        for (unsigned place = 0; place < ROW_POINTS; place++) {
            uint8_t found[EC_SIZE], expected[EC_SIZE];
            BIGNUM *x = BN_new(), *y = BN_new(), *k = BN_new();
            expect_entry(comb.row[row], place, x, y);
            encode(found, x, y);
            assert_int_equal(BN_set_word(k, 2 * place + 1), 1);
            assert_int_equal(BN_lshift(k, k, WINDOW_BITS * row), 1);
            multiple(expected, k);
            assert_memory_equal(found, expected, EC_SIZE);
            BN_free(x);
            BN_free(y);
            BN_free(k);
        }
    }
}

/* Eight nonces, each below L, as comb_multiply() wants them; then its points, encoded. */
static void expect_multiples(BIGNUM *const k[static VEC_LANES])
{
    static struct work work;
    static struct ed_item items[VEC_LANES];
    for (size_t lane = 0; lane < VEC_LANES; lane++) {
        BIGNUM *odd = BN_dup(k[lane]);
        if (!BN_is_odd(odd))
            assert_int_equal(BN_add(odd, odd, order), 1);
        assert_int_equal(BN_set_bit(odd, COMB_TOP_BIT), 1);
        put_lane(&work.odd[0], lane, odd);
        BN_free(odd);
    }
    comb_multiply(work.point, work.odd, 1);
    vec z[EC_DIGITS];
    number_load(z, &work.point[0].z);
    number_carry(z, z);
    number_store(&work.z[0], z);
    batch_invert(work.z, work.running, 1, &field_ring);
    sign_r(&work, 0, items, VEC_LANES);
    for (size_t lane = 0; lane < VEC_LANES; lane++) {
        uint8_t expected[EC_SIZE];
        multiple(expected, k[lane]);
        assert_memory_equal(items[lane].signature, expected, EC_SIZE);
    }
}

/* Zero has the neutral element; small and large ones, and powers of two and those minus one, meet it and
 * doublings on the way. */
static void multiples_that_nonces_never_ask_for_are_right(void **state)
{
    BIGNUM *k[VEC_LANES];
    (void)state;
    for (int bit = 0; bit <= 252; bit += 2) {
        k[0] = near_power(bit, -1);
        k[1] = near_power(bit, 0);
        k[2] = near_power(bit + 1 > 252 ? 252 : bit + 1, -1);
        k[3] = near_power(bit + 1 > 252 ? 252 : bit + 1, 0);
        k[4] = near_power(bit > 6 ? bit : 6, -63);
        for (size_t i = 5; i < VEC_LANES; i++)
            k[i] = BN_dup(order); /* L - 2^bit - 1, L - 2^bit, L - 2^bit + 1 */
        for (size_t i = 5; i < VEC_LANES; i++) {
            BIGNUM *less = near_power(bit, 6 - (int)i + 1);
            assert_int_equal(BN_sub(k[i], k[i], less), 1);
            assert_int_equal(BN_nnmod(k[i], k[i], order, bn), 1);
            BN_free(less);
        }
        expect_multiples(k);
        for (size_t i = 0; i < VEC_LANES; i++)
            BN_free(k[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_the_largest_numbers_are_right),
        cmocka_unit_test(hashes_of_every_size_are_reduced),
        cmocka_unit_test(every_point_of_the_table_is_its_multiple),
        cmocka_unit_test(multiples_that_nonces_never_ask_for_are_right),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
