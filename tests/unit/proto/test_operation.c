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
        if (info->algorithm == ALGORITHM_RSA && !info->pss)
            assert_false(info->tls13);
    }
    assert_false(scheme_find(SCHEME_ECDSA_P521_SHA512)->tls13);
}

static void schemes_say_what_they_are_made_of(void **state)
{
    (void)state;
    static const struct {
        uint16_t scheme;
        enum key_algorithm algorithm;
        bool pss;
        uint16_t hash_bits;
        enum key_type key;
        const char *name;
    } rows[] = {
        {0x0401, ALGORITHM_RSA, false, 256, KEY_RSA, "rsa_pkcs1_sha256"},
        {0x0601, ALGORITHM_RSA, false, 512, KEY_RSA, "rsa_pkcs1_sha512"},
        {0x0403, ALGORITHM_EC, false, 256, KEY_EC_P256, "ecdsa_secp256r1_sha256"},
        {0x0503, ALGORITHM_EC, false, 384, KEY_EC_P384, "ecdsa_secp384r1_sha384"},
        {0x0804, ALGORITHM_RSA, true, 256, KEY_RSA, "rsa_pss_rsae_sha256"},
        {0x0806, ALGORITHM_RSA, true, 512, KEY_RSA, "rsa_pss_rsae_sha512"},
        {0x0807, ALGORITHM_ED25519, false, 0, KEY_ED25519, "ed25519"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct scheme_info *info = scheme_find(rows[i].scheme);
        assert_non_null(info);
        assert_int_equal(info->algorithm, rows[i].algorithm);
        assert_int_equal(info->pss, rows[i].pss);
        assert_int_equal(info->hash_bits, rows[i].hash_bits);
        assert_int_equal(info->tls13_key, rows[i].key);
        assert_string_equal(info->name, rows[i].name);
    }
}

static void each_operation_is_of_one_nature(void **state)
{
    (void)state;
    const uint32_t signatures = 1u << OP_SIGN_TLS12 | 1u << OP_SIGN_TLS13;
    assert_int_equal(operations_of_key(KEY_RSA), signatures | 1u << OP_RSA_PREMASTER | 1u << OP_RSA_MASTER);
    assert_int_equal(operations_of_key(KEY_EC_P256), signatures);
    assert_int_equal(operations_of_key(KEY_EC_P384), signatures);
    assert_int_equal(operations_of_key(KEY_ED25519), signatures);
    assert_int_equal(operations_without_key(), 1u << OP_PING | 1u << OP_KEYS);
    assert_int_equal(operations_by_default(), operations_without_key() | signatures | 1u << OP_RSA_MASTER);
    for (enum operation_kind kind = (enum operation_kind)0; kind <= OP_KINDS; kind++) {
        uint32_t bit = 1u << kind;
        assert_true(operation_uses_key(kind) == ((operations_of_key(KEY_RSA) & bit) != 0));
        assert_true(operation_signs(kind) == ((signatures & bit) != 0));
        assert_int_equal(operation_mode(kind), kind == OP_RSA_MASTER      ? MODE_BOUND
                                               : kind == OP_RSA_PREMASTER ? MODE_PLAIN
                                                                          : MODE_NONE);
    }
}

static void names_of_operations_on_a_key_are_listed_for_people(void **state)
{
    (void)state;
    char text[OPERATION_LIST_SIZE];
    uint32_t listed = 0;
    for (size_t i = 0; operation_key_names[i] != NULL; i++) {
        enum operation_kind kind;
        assert_int_equal(operation_parse(operation_key_names[i], &kind), 0);
        assert_false((listed & 1u << kind) != 0);
        listed |= 1u << kind;
    }
    for (enum operation_kind kind = OP_PING; kind < OP_KINDS; kind++)
        assert_true(operation_uses_key(kind) == ((listed & 1u << kind) != 0));
    assert_string_equal(operation_key_list(text, " and "),
                        "sign_tls13, sign_tls12, rsa_master and rsa_premaster");
    assert_string_equal(operation_key_list(text, ", "), "sign_tls13, sign_tls12, rsa_master, rsa_premaster");
}

static void key_types_are_told_by_algorithm_curve_and_size(void **state)
{
    (void)state;
    static const struct {
        enum key_type type;
        const char *group;
        int bits;
        bool fits;
    } rows[] = {
        {KEY_RSA, "", 2048, true},
        {KEY_RSA, "", 4096, true},
        {KEY_RSA, "", 2047, false},
        {KEY_RSA, "", 4097, false},
        {KEY_RSA, "", -1, false},
        {KEY_EC_P256, "prime256v1", 256, true},
        {KEY_EC_P256, "P-256", 256, true},
        {KEY_EC_P256, "secp256k1", 256, false},
        {KEY_EC_P256, "", 256, false},
        {KEY_EC_P384, "secp384r1", 384, true},
        {KEY_EC_P384, "prime256v1", 256, false},
        {KEY_ED25519, "", 256, true},
        {KEY_ED25519, "", 456, false},
    };
    char text[KEY_TYPES_TEXT_SIZE];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(key_type_fits(key_type_find(rows[i].type), rows[i].group, rows[i].bits) == rows[i].fits);
    for (enum key_type type = KEY_RSA; type < KEY_TYPES; type++) {
        const struct key_type_info *info = key_type_find(type);
        assert_non_null(key_algorithm_name(info->algorithm));
        assert_true((info->algorithm == ALGORITHM_EC) == (info->order != NULL && info->group != NULL));
    }
    assert_int_equal(key_type_algorithm((enum key_type)0), ALGORITHM_ANY);
    assert_int_equal(key_type_algorithm(KEY_TYPES), ALGORITHM_ANY);
    assert_string_equal(key_types_text(text, "and"), "RSA of 2048 to 4096 bits, P-256, P-384 and Ed25519");
}

static void schemes_are_found_by_what_they_are_made_with(void **state)
{
    (void)state;
    for (unsigned scheme = 0; scheme <= UINT16_MAX; scheme++) {
        const struct scheme_info *info = scheme_find((uint16_t)scheme);
        if (info != NULL)
            assert_ptr_equal(scheme_find_for(info->algorithm, info->pss, info->hash_bits), info);
    }
    assert_ptr_equal(scheme_find_for(ALGORITHM_EC, true, 256), scheme_find(SCHEME_ECDSA_P256_SHA256));
    assert_null(scheme_find_for(ALGORITHM_RSA, false, 0));
    assert_null(scheme_find_for(ALGORITHM_ED25519, false, 256));
    for (enum key_type type = KEY_RSA; type < KEY_TYPES; type++) {
        assert_non_null(scheme_find_tls13(type));
        assert_int_equal(scheme_find_tls13(type)->tls13_key, type);
    }
    assert_int_equal(scheme_find_tls13(KEY_RSA)->scheme, SCHEME_RSA_PSS_RSAE_SHA256);
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
        cmocka_unit_test(each_operation_is_of_one_nature),
        cmocka_unit_test(names_of_operations_on_a_key_are_listed_for_people),
        cmocka_unit_test(key_types_are_told_by_algorithm_curve_and_size),
        cmocka_unit_test(schemes_are_found_by_what_they_are_made_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
