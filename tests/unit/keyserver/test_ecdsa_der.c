#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/lanes/ec_lanes.h"

/* What OpenSSL makes of the same two numbers. */
static void expect_as_openssl(const uint8_t *rs, size_t size)
{
    uint8_t out[ECDSA_DER_MAX], theirs[ECDSA_DER_MAX], *end = theirs;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    assert_non_null(sig);
    assert_int_equal(
        ECDSA_SIG_set0(sig, BN_bin2bn(rs, (int)size, NULL), BN_bin2bn(rs + size, (int)size, NULL)), 1);
    int length = i2d_ECDSA_SIG(sig, &end);
    ECDSA_SIG_free(sig);
    assert_int_equal(ecdsa_der(out, rs, size), length);
    assert_memory_equal(out, theirs, (size_t)length);
}

static void numbers_of_every_length_are_as_openssl_writes_them(void **state)
{
    static const size_t sizes[] = {1, 32, 48};
    static const uint8_t first[] = {0x01, 0x7f, 0x80, 0xff};
    uint8_t rs[2 * EC_SIZE_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i];
        for (size_t zeros = 0; zeros < size; zeros++) {
            for (size_t j = 0; j < sizeof first; j++) {
                random_bytes(rs, sizeof rs);
                memset(rs, 0, zeros);
                rs[zeros] = first[j];
                memset(rs + size, 0, size - zeros - 1);
                rs[2 * size - zeros - 1] = first[j];
                expect_as_openssl(rs, size);
            }
        }
    }
}

static void the_longest_fill_what_the_header_says(void **state)
{
    uint8_t out[ECDSA_DER_MAX + 1], rs[2 * EC_SIZE_MAX];
    (void)state;
    memset(rs, 0xff, sizeof rs);
    out[ECDSA_DER_P256] = out[ECDSA_DER_MAX] = 0x5a;
    assert_int_equal(ecdsa_der(out, rs, 32), ECDSA_DER_P256);
    assert_int_equal(out[ECDSA_DER_P256], 0x5a);
    assert_int_equal(ecdsa_der(out, rs, 48), ECDSA_DER_P384);
    assert_int_equal(ECDSA_DER_P384, ECDSA_DER_MAX);
    assert_int_equal(out[ECDSA_DER_MAX], 0x5a);
}

/* Not a signature, but DER all the same. */
static void zero_is_one_byte(void **state)
{
    static const uint8_t rs[64], der[] = {0x30, 6, 2, 1, 0, 2, 1, 0};
    uint8_t out[ECDSA_DER_MAX];
    (void)state;
    assert_int_equal(ecdsa_der(out, rs, 32), sizeof der);
    assert_memory_equal(out, der, sizeof der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_every_length_are_as_openssl_writes_them),
        cmocka_unit_test(the_longest_fill_what_the_header_says),
        cmocka_unit_test(zero_is_one_byte),
    };
    return secret_init() != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
