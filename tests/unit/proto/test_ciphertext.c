#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "proto/ciphertext.h"

#define SIZE 4

static const uint8_t modulus[SIZE] = {0xc0, 0, 0x01, 0x01};

static int check(uint32_t value)
{
    const uint8_t bytes[SIZE] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                                 (uint8_t)value};
    return ciphertext_check(bytes, SIZE, modulus, SIZE);
}

static void values_from_2_to_n_minus_2_may_be_encryptions(void **state)
{
    static const uint32_t good[] = {2,         3,          0x100,      0x101,     0x1000000,
                                    0x1000001, 0xc0000000, 0xc00000ff, 0xc00000fe};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(check(good[i]), 0);
}

static void other_values_can_be_none(void **state)
{
    static const uint32_t bad[] = {0, 1, 0xc0000100, 0xc0000101, 0xc0000102, 0xc1000000, 0xffffffff};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(check(bad[i]), ERR_FORMAT);
}

static void other_lengths_can_be_none(void **state)
{
    static const uint8_t bytes[SIZE + 1] = {0, 7, 7, 7, 7};
    (void)state;
    for (size_t length = 0; length <= SIZE + 1; length++)
        assert_int_equal(ciphertext_check(bytes, length, modulus, SIZE), length == SIZE ? 0 : ERR_LENGTH);
    assert_int_equal(ciphertext_check(NULL, 0, modulus, SIZE), ERR_LENGTH);
    assert_int_equal(ciphertext_check(bytes, 0, modulus, 0), ERR_LENGTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_from_2_to_n_minus_2_may_be_encryptions),
        cmocka_unit_test(other_values_can_be_none),
        cmocka_unit_test(other_lengths_can_be_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
