#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/bytes.h"
#include "common/secret.h"
#include "keyserver/vault/compute/premaster.h"
#include "tests/lib/random_below.h"

#define VERSION 0x0303

static const size_t lengths[] = {RSA_MODULUS_MIN, 384, RSA_MODULUS_MAX};
#define LENGTHS (sizeof lengths / sizeof lengths[0])

static uint8_t plain[RSA_MODULUS_MAX], fallback[TLS_PREMASTER_SIZE], out[TLS_PREMASTER_SIZE];

/* A good block of K bytes in `plain`. */
static void make_good(size_t k)
{
    random_bytes(plain, k);
    for (size_t i = 2; i < k - 49; i++)
        plain[i] |= 1;
    plain[0] = 0;
    plain[1] = 2;
    plain[k - 49] = 0;
    plain[k - 48] = VERSION >> 8;
    plain[k - 47] = VERSION & 0xff;
    random_bytes(fallback, sizeof fallback);
}

static void assert_taken(size_t k)
{
    premaster_unpad(out, plain, k, VERSION, fallback);
    assert_memory_equal(out, plain + k - TLS_PREMASTER_SIZE, TLS_PREMASTER_SIZE);
}

static void assert_replaced(size_t k)
{
    premaster_unpad(out, plain, k, VERSION, fallback);
    assert_memory_equal(out, fallback, TLS_PREMASTER_SIZE);
}

static void a_good_block_gives_its_secret_at_every_key_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTHS; i++)
        for (int round = 0; round < 200; round++) {
            make_good(lengths[i]);
            assert_taken(lengths[i]);
        }
}

/* Puts every value at PLACE; only GOOD, or anything but zero when GOOD is negative, is taken. */
static void try_all_values(size_t k, size_t place, int good)
{
    for (int value = 0; value < 256; value++) {
        plain[place] = (uint8_t)value;
        if (good < 0 ? value != 0 : value == good)
            assert_taken(k);
        else
            assert_replaced(k);
    }
    plain[place] = (uint8_t)(good < 0 ? 1 : good);
}

static void every_value_at_every_place_before_the_secret_is_judged_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTHS; i++) {
        size_t k = lengths[i];
        make_good(k);
        try_all_values(k, 0, 0);
        try_all_values(k, 1, 2);
        for (size_t place = 2; place < k - 49; place++)
            try_all_values(k, place, -1);
        try_all_values(k, k - 49, 0);
        try_all_values(k, k - 48, VERSION >> 8);
        try_all_values(k, k - 47, VERSION & 0xff);
    }
}

static void the_secret_itself_may_hold_any_bytes(void **state)
{
    size_t k = RSA_MODULUS_MIN;
    (void)state;
    make_good(k);
    for (size_t place = k - 46; place < k; place++)
        for (int value = 0; value < 256; value++) {
            plain[place] = (uint8_t)value;
            assert_taken(k);
        }
}

static void the_version_asked_for_decides(void **state)
{
    size_t k = RSA_MODULUS_MIN;
    (void)state;
    make_good(k);
    for (unsigned version = 0; version < 0x10000; version++) {
        premaster_unpad(out, plain, k, (uint16_t)version, fallback);
        assert_memory_equal(out, version == VERSION ? plain + k - 48 : fallback, TLS_PREMASTER_SIZE);
    }
}

static void a_short_or_long_secret_is_replaced(void **state)
{
    size_t k = RSA_MODULUS_MIN;
    (void)state;
    for (size_t place = k - 60; place < k; place++) {
        make_good(k);
        plain[k - 49] = 0x5a;
        memset(plain + k - 46, 0x5a, 46);
        plain[place] = 0;
        if (place == k - 49)
            assert_taken(k);
        else
            assert_replaced(k);
    }
}

/* The same rules in the plainest words. */
static bool is_good(size_t k)
{
    if (plain[0] != 0 || plain[1] != 2 || plain[k - 49] != 0)
        return false;
    for (size_t i = 2; i < k - 49; i++)
        if (plain[i] == 0)
            return false;
    return plain[k - 48] == VERSION >> 8 && plain[k - 47] == (VERSION & 0xff);
}

static void random_damage_agrees_with_the_plain_rules(void **state)
{
    size_t good = 0, bad = 0, k = RSA_MODULUS_MIN;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        make_good(k);
        for (uint32_t hits = random_below(3); hits > 0; hits--)
            plain[random_below((uint32_t)k)] = (uint8_t)random_below(3);
        if (is_good(k)) {
            assert_taken(k);
            good++;
        } else {
            assert_replaced(k);
            bad++;
        }
    }
    assert_true(good > 1000 && bad > 1000);
}

static void an_all_zero_and_an_all_one_block_are_replaced(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTHS; i++) {
        make_good(lengths[i]);
        memset(plain, 0, lengths[i]);
        assert_replaced(lengths[i]);
        memset(plain, 0xff, lengths[i]);
        assert_replaced(lengths[i]);
    }
}

/* ---- the fallback ---- */

static void make_input(uint8_t secret[32], uint8_t ciphertext[RSA_MODULUS_MAX])
{
    for (size_t i = 0; i < 32; i++)
        secret[i] = (uint8_t)i;
    for (size_t i = 0; i < RSA_MODULUS_MAX; i++)
        ciphertext[i] = (uint8_t)(i * 7);
}

/* Replicas of different versions must agree: computed once with another implementation of HMAC. */
static void the_fallback_never_changes(void **state)
{
    uint8_t secret[32], ciphertext[RSA_MODULUS_MAX], expected[TLS_PREMASTER_SIZE];
    (void)state;
    make_input(secret, ciphertext);
    assert_int_equal(hex_decode(expected, sizeof expected,
                                "030352089fdf89ab0a31639dcfde79b232279e8b573251975784f9a71f800c55"
                                "2041b76373cba848426aef7fe0cf447a"),
                     0);
    premaster_fallback(out, secret, VERSION, ciphertext, RSA_MODULUS_MIN);
    assert_memory_equal(out, expected, sizeof expected);
}

static void the_fallback_depends_on_secret_version_and_every_byte(void **state)
{
    uint8_t secret[32], ciphertext[RSA_MODULUS_MAX], other[TLS_PREMASTER_SIZE];
    (void)state;
    make_input(secret, ciphertext);
    premaster_fallback(out, secret, VERSION, ciphertext, RSA_MODULUS_MIN);
    assert_int_equal(out[0], 3);
    assert_int_equal(out[1], 3);
    premaster_fallback(other, secret, 0x0301, ciphertext, RSA_MODULUS_MIN);
    assert_int_equal(other[0], 3);
    assert_int_equal(other[1], 1);
    assert_memory_not_equal(out + 2, other + 2, 46);
    premaster_fallback(other, secret, VERSION, ciphertext, RSA_MODULUS_MAX);
    assert_memory_not_equal(out + 2, other + 2, 46);
    secret[31] ^= 1;
    premaster_fallback(other, secret, VERSION, ciphertext, RSA_MODULUS_MIN);
    assert_memory_not_equal(out + 2, other + 2, 46);
    secret[31] ^= 1;
    for (size_t i = 0; i < RSA_MODULUS_MIN; i++) {
        ciphertext[i] ^= 0x80;
        premaster_fallback(other, secret, VERSION, ciphertext, RSA_MODULUS_MIN);
        assert_memory_not_equal(out + 2, other + 2, 46);
        ciphertext[i] ^= 0x80;
    }
    premaster_fallback(other, secret, VERSION, ciphertext, RSA_MODULUS_MIN);
    assert_memory_equal(out, other, sizeof other);
}

static void both_halves_of_the_fallback_differ(void **state)
{
    uint8_t secret[32], ciphertext[RSA_MODULUS_MAX];
    (void)state;
    make_input(secret, ciphertext);
    premaster_fallback(out, secret, VERSION, ciphertext, RSA_MODULUS_MAX);
    assert_memory_not_equal(out + 2, out + 34, 14);
}

static int start(void **state)
{
    (void)state;
    return secret_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_block_gives_its_secret_at_every_key_size),
        cmocka_unit_test(every_value_at_every_place_before_the_secret_is_judged_right),
        cmocka_unit_test(the_secret_itself_may_hold_any_bytes),
        cmocka_unit_test(the_version_asked_for_decides),
        cmocka_unit_test(a_short_or_long_secret_is_replaced),
        cmocka_unit_test(random_damage_agrees_with_the_plain_rules),
        cmocka_unit_test(an_all_zero_and_an_all_one_block_are_replaced),
        cmocka_unit_test(the_fallback_never_changes),
        cmocka_unit_test(the_fallback_depends_on_secret_version_and_every_byte),
        cmocka_unit_test(both_halves_of_the_fallback_differ),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
