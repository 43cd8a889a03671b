#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/bench_plan.h"

#define BIT(kind) (1u << (kind))
#define SIGN      (BIT(OP_SIGN_TLS13) | BIT(OP_SIGN_TLS12))
#define DECRYPT   (BIT(OP_RSA_PREMASTER) | BIT(OP_RSA_MASTER))

static struct key_info key(uint8_t id, enum key_type type, uint16_t bits, uint32_t operations)
{
    struct key_info key = {.type = (uint8_t)type, .bits = bits, .operations = operations};
    memset(key.key_id, id, sizeof key.key_id);
    return key;
}

/* The plan as text: "rsa2048/11 sign_tls13; …" with the first byte of the id. */
static const char *planned(const struct bench_plan *plan)
{
    static char text[1024];
    size_t length = 0;
    text[0] = 0;
    for (size_t i = 0; i < plan->count; i++) {
        char name[BENCH_KEY_NAME_SIZE];
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s/%02x %s", i > 0 ? "; " : "",
                                   bench_key_name(name, &plan->cases[i].key), plan->cases[i].key.key_id[0],
                                   operation_name(plan->cases[i].kind));
    }
    return text;
}

static void assert_plan(const struct bench_wishes *wishes, const struct key_info *keys, size_t count,
                        const char *text)
{
    struct bench_plan plan;
    assert_int_equal(bench_plan_make(&plan, wishes, keys, count), 0);
    assert_string_equal(planned(&plan), text);
    bench_plan_clear(&plan);
}

/* ---- numbers ---- */

static void depths_are_numbers_with_commas(void **state)
{
    struct bench_depths depths;
    (void)state;
    assert_int_equal(bench_depths_parse(&depths, "1,8,65536"), 0);
    assert_int_equal(depths.count, 3);
    assert_int_equal(depths.depth[0], 1);
    assert_int_equal(depths.depth[1], 8);
    assert_int_equal(depths.depth[2], 65536);
    assert_int_equal(bench_depths_parse(&depths, "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"), 0);
    assert_int_equal(depths.count, 16);
}

static void anything_else_is_no_list_of_depths(void **state)
{
    static const char *const wrong[] = {"",
                                        "0",
                                        "65537",
                                        "1,",
                                        ",1",
                                        "1,,2",
                                        "1 ",
                                        " 1",
                                        "-1",
                                        "+1",
                                        "1;2",
                                        "a",
                                        "1a",
                                        "99999999999999999999",
                                        "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
                                        "1.5"};
    struct bench_depths depths;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (bench_depths_parse(&depths, wrong[i]) != ERR_FORMAT)
            fail_msg("'%s' was taken", wrong[i]);
}

static void seconds_may_have_fractions_and_have_limits(void **state)
{
    static const char *const wrong[] = {"", "0.009", "3600.1", "-1", "nan", "inf", "1s", "1,5", "x"};
    uint64_t ns;
    (void)state;
    assert_int_equal(bench_seconds_parse(&ns, "0.25", 0.01), 0);
    assert_int_equal(ns, 250000000);
    assert_int_equal(bench_seconds_parse(&ns, "0.01", 0.01), 0);
    assert_int_equal(bench_seconds_parse(&ns, "3600", 0.01), 0);
    assert_int_equal(bench_seconds_parse(&ns, "0", 0), 0);
    assert_int_equal(ns, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (bench_seconds_parse(&ns, wrong[i], 0.01) != ERR_FORMAT)
            fail_msg("'%s' was taken", wrong[i]);
}

/* ---- wishes ---- */

static void operations_that_use_no_key_are_no_wish(void **state)
{
    struct bench_wishes wishes = {0};
    (void)state;
    assert_int_equal(bench_wishes_add_operation(&wishes, "ping"), ERR_NOT_FOUND);
    assert_int_equal(bench_wishes_add_operation(&wishes, "keys"), ERR_NOT_FOUND);
    assert_int_equal(bench_wishes_add_operation(&wishes, "sign"), ERR_NOT_FOUND);
    assert_int_equal(wishes.operations, 0);
    assert_int_equal(bench_wishes_add_operation(&wishes, "sign_tls13"), 0);
    assert_int_equal(bench_wishes_add_operation(&wishes, "rsa_master"), 0);
    assert_int_equal(wishes.operations, BIT(OP_SIGN_TLS13) | BIT(OP_RSA_MASTER));
}

static void keys_are_named_by_type_or_by_four_digits_of_their_id(void **state)
{
    static const char *const right[] = {"rsa2048", "rsa4096", "p256", "p384", "ed25519", "0123", "abcdef01"};
    static const char *const wrong[] = {"", "rsa", "rsa1024", "p521", "012", "012g", "ABCD"};
    char whole[2 * KEY_ID_SIZE + 2];
    struct bench_wishes wishes = {0};
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_int_equal(bench_wishes_add_key(&wishes, right[i]), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (bench_wishes_add_key(&wishes, wrong[i]) != ERR_FORMAT)
            fail_msg("'%s' was taken", wrong[i]);
    memset(whole, 'a', sizeof whole);
    whole[2 * KEY_ID_SIZE + 1] = 0;
    assert_int_equal(bench_wishes_add_key(&wishes, whole), ERR_FORMAT);
    assert_int_equal(bench_wishes_add_key(&wishes, whole + 1), 0);
    while (wishes.key_count < BENCH_WISHES_MAX)
        assert_int_equal(bench_wishes_add_key(&wishes, "p256"), 0);
    assert_int_equal(bench_wishes_add_key(&wishes, "p256"), ERR_LENGTH);
}

/* ---- plans ---- */

static void without_wishes_everything_is_measured_with_one_key_of_each_type(void **state)
{
    const struct bench_wishes all = {0};
    const struct key_info keys[] = {
        key(0x11, KEY_EC_P256, 256, SIGN),
        key(0x22, KEY_RSA, 3072, BIT(OP_RSA_MASTER)),
        key(0x33, KEY_RSA, 2048, BIT(OP_SIGN_TLS13)),
        key(0x44, KEY_RSA, 2048, BIT(OP_SIGN_TLS13) | DECRYPT),
        key(0x55, KEY_RSA, 2048, BIT(OP_SIGN_TLS13) | DECRYPT),
    };
    (void)state;
    assert_plan(&all, keys, 5,
                "rsa2048/44 sign_tls13; rsa2048/44 rsa_premaster; rsa2048/44 rsa_master; "
                "rsa3072/22 rsa_master; p256/11 sign_tls13; p256/11 sign_tls12");
}

static void what_a_key_cannot_do_or_is_not_known_is_not_measured(void **state)
{
    const struct bench_wishes all = {0};
    const struct key_info keys[] = {key(0x11, KEY_EC_P256, 256, DECRYPT),
                                    key(0x22, KEY_RSA, 2048, BIT(OP_PING) | BIT(OP_KEYS) | BIT(OP_KINDS))};
    (void)state;
    assert_plan(&all, keys, 2, "");
    assert_plan(&all, keys, 0, "");
}

static void wishes_choose_operations_and_types(void **state)
{
    const struct bench_wishes wishes = {
        .operations = BIT(OP_SIGN_TLS12), .keys = {"p256", "rsa2048"}, .key_count = 2};
    const struct key_info keys[] = {key(0x11, KEY_EC_P256, 256, SIGN), key(0x22, KEY_EC_P384, 384, SIGN),
                                    key(0x33, KEY_RSA, 2048, SIGN | DECRYPT)};
    (void)state;
    assert_plan(&wishes, keys, 3, "rsa2048/33 sign_tls12; p256/11 sign_tls12");
}

static void a_key_that_is_named_by_its_id_is_measured_whatever_others_there_are(void **state)
{
    const struct bench_wishes wishes = {.keys = {"2222", "3333"}, .key_count = 2};
    const struct key_info keys[] = {key(0x11, KEY_EC_P256, 256, SIGN),
                                    key(0x22, KEY_EC_P256, 256, BIT(OP_SIGN_TLS13)),
                                    key(0x33, KEY_EC_P256, 256, BIT(OP_SIGN_TLS12))};
    (void)state;
    assert_plan(&wishes, keys, 3, "p256/22 sign_tls13; p256/33 sign_tls12");
}

static void several_edges_measure_what_all_of_them_are_granted(void **state)
{
    const struct bench_wishes all = {0};
    const struct key_info first[] = {key(0x11, KEY_EC_P256, 256, SIGN), key(0x22, KEY_RSA, 2048, SIGN)};
    const struct key_info second[] = {key(0x22, KEY_RSA, 2048, BIT(OP_SIGN_TLS12) | DECRYPT)};
    struct bench_plan plan;
    (void)state;
    assert_int_equal(bench_plan_make(&plan, &all, first, 2), 0);
    bench_plan_keep(&plan, second, 1);
    assert_string_equal(planned(&plan), "rsa2048/22 sign_tls12");
    bench_plan_keep(&plan, NULL, 0);
    assert_int_equal(plan.count, 0);
    bench_plan_clear(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depths_are_numbers_with_commas),
        cmocka_unit_test(anything_else_is_no_list_of_depths),
        cmocka_unit_test(seconds_may_have_fractions_and_have_limits),
        cmocka_unit_test(operations_that_use_no_key_are_no_wish),
        cmocka_unit_test(keys_are_named_by_type_or_by_four_digits_of_their_id),
        cmocka_unit_test(without_wishes_everything_is_measured_with_one_key_of_each_type),
        cmocka_unit_test(what_a_key_cannot_do_or_is_not_known_is_not_measured),
        cmocka_unit_test(wishes_choose_operations_and_types),
        cmocka_unit_test(a_key_that_is_named_by_its_id_is_measured_whatever_others_there_are),
        cmocka_unit_test(several_edges_measure_what_all_of_them_are_granted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
