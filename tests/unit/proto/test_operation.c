#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "proto/operation.h"

static void every_operation_has_a_name_that_parses_back(void **state)
{
    (void)state;
    for (unsigned i = 1; i < OP_KINDS; i++) {
        enum operation_kind kind = (enum operation_kind)0;
        const char *name = operation_name((enum operation_kind)i);
        assert_non_null(name);
        assert_int_equal(operation_parse(name, &kind), 0);
        assert_int_equal(kind, i);
    }
}

static void names_outside_of_the_tables_are_null(void **state)
{
    (void)state;
    assert_null(operation_name((enum operation_kind)0));
    assert_null(operation_name(OP_KINDS));
    assert_null(operation_name((enum operation_kind) - 1));
    assert_null(status_name(STATUS_KINDS));
    assert_null(status_name((enum operation_status) - 1));
    assert_null(key_type_name((enum key_type)0));
    assert_null(key_type_name(KEY_TYPES));
    assert_null(scheme_name(0x0402));
    assert_null(scheme_find(0));
    assert_null(scheme_find(0xffff));
}

static void unknown_operation_names_are_not_found(void **state)
{
    (void)state;
    static const char *const names[] = {"", "raw", "sign", "PING", "ping ", "sign_tls1", "sign_tls133"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        enum operation_kind kind = OP_KEYS;
        assert_int_equal(operation_parse(names[i], &kind), ERR_NOT_FOUND);
        assert_int_equal(kind, OP_KEYS);
    }
}

static void statuses_and_key_types_have_their_stable_names(void **state)
{
    (void)state;
    static const char *const statuses[STATUS_KINDS] = {"ok", "refused", "busy", "expired", "unavailable"};
    static const char *const types[KEY_TYPES] = {NULL, "rsa", "p256", "p384", "ed25519"};
    for (unsigned i = 0; i < STATUS_KINDS; i++)
        assert_string_equal(status_name((enum operation_status)i), statuses[i]);
    for (unsigned i = 1; i < KEY_TYPES; i++)
        assert_string_equal(key_type_name((enum key_type)i), types[i]);
}

static void tls13_takes_neither_pkcs1_nor_a_curve_without_keys(void **state)
{
    (void)state;
    for (unsigned scheme = 0; scheme <= UINT16_MAX; scheme++) {
        const struct scheme_info *info = scheme_find((uint16_t)scheme);
        if (info == NULL)
            continue;
        assert_int_equal(info->scheme, scheme);
        assert_string_equal(info->name, scheme_name((uint16_t)scheme));
        if (info->tls13)
            assert_non_null(key_type_name(info->tls13_key));
        if (info->family == FAMILY_RSA_PKCS1)
            assert_false(info->tls13);
    }
    assert_false(scheme_find(SCHEME_ECDSA_P521_SHA512)->tls13);
}

static void schemes_say_what_they_are_made_of(void **state)
{
    (void)state;
    static const struct {
        uint16_t scheme;
        int family;
        uint16_t hash_bits;
        enum key_type key;
        const char *name;
    } rows[] = {
        {0x0401, FAMILY_RSA_PKCS1, 256, KEY_RSA, "rsa_pkcs1_sha256"},
        {0x0601, FAMILY_RSA_PKCS1, 512, KEY_RSA, "rsa_pkcs1_sha512"},
        {0x0403, FAMILY_ECDSA, 256, KEY_EC_P256, "ecdsa_secp256r1_sha256"},
        {0x0503, FAMILY_ECDSA, 384, KEY_EC_P384, "ecdsa_secp384r1_sha384"},
        {0x0804, FAMILY_RSA_PSS, 256, KEY_RSA, "rsa_pss_rsae_sha256"},
        {0x0806, FAMILY_RSA_PSS, 512, KEY_RSA, "rsa_pss_rsae_sha512"},
        {0x0807, FAMILY_ED25519, 0, KEY_ED25519, "ed25519"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct scheme_info *info = scheme_find(rows[i].scheme);
        assert_non_null(info);
        assert_int_equal(info->family, rows[i].family);
        assert_int_equal(info->hash_bits, rows[i].hash_bits);
        assert_int_equal(info->tls13_key, rows[i].key);
        assert_string_equal(info->name, rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_has_a_name_that_parses_back),
        cmocka_unit_test(names_outside_of_the_tables_are_null),
        cmocka_unit_test(unknown_operation_names_are_not_found),
        cmocka_unit_test(statuses_and_key_types_have_their_stable_names),
        cmocka_unit_test(tls13_takes_neither_pkcs1_nor_a_curve_without_keys),
        cmocka_unit_test(schemes_say_what_they_are_made_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
