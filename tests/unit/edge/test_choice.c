/* What a client may be offered, for every grant, both versions and every kind of ClientHello. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/tls/choice.h"

#define SIGN12  OPERATION_BIT(OP_SIGN_TLS12)
#define SIGN13  OPERATION_BIT(OP_SIGN_TLS13)
#define MASTER  OPERATION_BIT(OP_RSA_MASTER)
#define PLAIN   OPERATION_BIT(OP_RSA_PREMASTER)
#define NO_CERT 0u

static const struct choice_facts modern = {
    .rsa_key_exchange = true, .extended_master_secret = true, .fits = true};

static struct choice choose(uint32_t rsa, uint32_t p256, const struct choice_facts *facts)
{
    const uint32_t granted[KEY_TYPES] = {[KEY_RSA] = rsa, [KEY_EC_P256] = p256};
    struct choice choice;

    choice_make(&choice, granted, facts);
    return choice;
}

static void what_is_not_known_limits_nothing(void **state)
{
    struct choice_facts facts = modern;
    (void)state;

    for (int i = 0; i < 8; i++) {
        facts.tls13 = (i & 1) != 0;
        facts.extended_master_secret = (i & 2) != 0;
        facts.fits = (i & 4) != 0;
        struct choice choice = choose(UINT32_MAX, UINT32_MAX, &facts);
        assert_true(choice.shown[KEY_RSA] && choice.shown[KEY_EC_P256]);
        assert_true(choice.rsa_signs && choice.others_sign && !choice.plain);
        assert_int_equal(choice.withheld, WITHHELD_NOT);
    }
}

static void rsa_key_exchange_follows_the_modes_and_the_client(void **state)
{
    static const struct {
        uint32_t granted;
        bool ems, fits;
        enum rsa_withheld withheld;
    } rows[] = {
        {MASTER, true, true, WITHHELD_NOT},          {MASTER, false, true, WITHHELD_NO_EMS},
        {MASTER, true, false, WITHHELD_TOO_LONG},    {MASTER, false, false, WITHHELD_NO_EMS},
        {PLAIN, true, true, WITHHELD_NOT},           {PLAIN, false, false, WITHHELD_NOT},
        {MASTER | PLAIN, false, true, WITHHELD_NOT}, {MASTER | PLAIN, true, false, WITHHELD_NOT},
        {0, true, true, WITHHELD_NOT_GRANTED},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct choice_facts facts = modern;
        facts.extended_master_secret = rows[i].ems;
        facts.fits = rows[i].fits;
        struct choice choice = choose(rows[i].granted | SIGN12, NO_CERT, &facts);
        assert_int_equal(choice.withheld, rows[i].withheld);
        assert_true(choice.suites_limited && choice.shown[KEY_RSA] && choice.rsa_signs);
        assert_int_equal(choice.plain, (rows[i].granted & (MASTER | PLAIN)) == PLAIN);
    }
}

static void a_certificate_that_may_do_nothing_is_not_shown(void **state)
{
    struct choice_facts facts = modern;
    (void)state;

    for (int tls13 = 0; tls13 < 2; tls13++) {
        uint32_t sign = tls13 ? SIGN13 : SIGN12, other = tls13 ? SIGN12 : SIGN13;
        facts.tls13 = tls13 != 0;
        struct choice choice = choose(sign, 0, &facts);
        assert_true(choice.shown[KEY_RSA] && !choice.shown[KEY_EC_P256]);
        choice = choose(0, sign, &facts);
        assert_true(!choice.shown[KEY_RSA] && choice.shown[KEY_EC_P256]);
        choice = choose(other, sign, &facts); /* the other version's grant is of no use */
        assert_true(!choice.shown[KEY_RSA] && choice.shown[KEY_EC_P256]);
    }
    facts.tls13 = false;
    struct choice choice = choose(MASTER, SIGN12, &facts);
    assert_true(choice.shown[KEY_RSA] && !choice.rsa_signs && choice.others_sign);
}

static void nothing_granted_is_left_to_the_key_server(void **state)
{
    struct choice_facts facts = modern;
    (void)state;

    struct choice choice = choose(0, 0, &facts);
    assert_true(choice.shown[KEY_RSA] && choice.shown[KEY_EC_P256] && !choice.suites_limited);
    facts.tls13 = true;
    choice = choose(MASTER | SIGN12, 0, &facts);
    assert_true(choice.shown[KEY_RSA] && !choice.suites_limited);
    assert_int_equal(choice.withheld, WITHHELD_NOT);
}

static void a_client_that_rules_itself_out_finds_no_suite(void **state)
{
    struct choice_facts facts = modern;
    (void)state;

    facts.extended_master_secret = false;
    struct choice choice = choose(MASTER, NO_CERT, &facts);
    assert_true(choice.shown[KEY_RSA] && choice.suites_limited && !choice.rsa_signs && !choice.others_sign);
    assert_int_equal(choice.withheld, WITHHELD_NO_EMS);
}

static void without_rsa_key_exchange_in_the_configuration_it_is_not_withheld(void **state)
{
    struct choice_facts facts = {.extended_master_secret = false};
    (void)state;

    struct choice choice = choose(SIGN12 | MASTER, SIGN12, &facts);
    assert_int_equal(choice.withheld, WITHHELD_NOT);
    choice = choose(MASTER, SIGN12, &facts);
    assert_true(!choice.shown[KEY_RSA] && choice.shown[KEY_EC_P256]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_limits_nothing),
        cmocka_unit_test(rsa_key_exchange_follows_the_modes_and_the_client),
        cmocka_unit_test(a_certificate_that_may_do_nothing_is_not_shown),
        cmocka_unit_test(nothing_granted_is_left_to_the_key_server),
        cmocka_unit_test(a_client_that_rules_itself_out_finds_no_suite),
        cmocka_unit_test(without_rsa_key_exchange_in_the_configuration_it_is_not_withheld),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
