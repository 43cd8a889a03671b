/* Which clients may be offered RSA key exchange, and the words for how it was done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/bound/rsa_mode.h"

#define SIGN   (1u << OP_SIGN_TLS12 | 1u << OP_SIGN_TLS13)
#define MASTER (1u << OP_RSA_MASTER)
#define PLAIN  (1u << OP_RSA_PREMASTER)

/* With plain mode granted, nothing about a client rules it out. */
static void plain_mode_takes_every_client(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(rsa_mode_decide(PLAIN | (i & 1 ? MASTER : SIGN), i & 2, i & 4), WITHHELD_NOT);
}

static void bound_mode_alone_needs_the_extended_master_secret_and_room(void **state)
{
    (void)state;
    assert_int_equal(rsa_mode_decide(MASTER, true, true), WITHHELD_NOT);
    assert_int_equal(rsa_mode_decide(MASTER, false, true), WITHHELD_NO_EMS);
    assert_int_equal(rsa_mode_decide(MASTER, false, false), WITHHELD_NO_EMS);
    assert_int_equal(rsa_mode_decide(MASTER, true, false), WITHHELD_TOO_LONG);
}

static void other_grants_are_none_for_it(void **state)
{
    (void)state;
    assert_int_equal(rsa_mode_decide(0, true, true), WITHHELD_NOT_GRANTED);
    assert_int_equal(rsa_mode_decide(SIGN, true, true), WITHHELD_NOT_GRANTED);
}

static void every_mode_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a < RSA_MODES; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(rsa_mode_name((enum rsa_mode)a), rsa_mode_name((enum rsa_mode)b));
    assert_string_equal(rsa_mode_name(RSA_MODES), "none");
}

static void every_reason_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a < WITHHELD_REASONS; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(rsa_withheld_name((enum rsa_withheld)a),
                                    rsa_withheld_name((enum rsa_withheld)b));
    assert_string_equal(rsa_withheld_name(WITHHELD_REASONS), "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_mode_takes_every_client),
        cmocka_unit_test(bound_mode_alone_needs_the_extended_master_secret_and_room),
        cmocka_unit_test(other_grants_are_none_for_it),
        cmocka_unit_test(every_mode_has_a_name_of_its_own),
        cmocka_unit_test(every_reason_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
