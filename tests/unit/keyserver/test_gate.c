/* Which operations have a gate, and which schemes fit which keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/keyserver/gate_rig.h"

#define BIT_RSA (1u << KEY_RSA)
#define P256    (1u << KEY_EC_P256)
#define P384    (1u << KEY_EC_P384)
#define ED25519 (1u << KEY_ED25519)

/* Which key types may sign by which scheme; everything that is not here, none. */
static const struct {
    uint16_t scheme;
    unsigned tls13, tls12; /* key types, as bits */
} allowed[] = {
    {0x0401, 0, BIT_RSA},        {0x0501, 0, BIT_RSA},        {0x0601, 0, BIT_RSA},
    {0x0403, P256, P256 | P384}, {0x0503, P384, P256 | P384}, {0x0603, 0, P256 | P384},
    {0x0804, BIT_RSA, BIT_RSA},  {0x0805, BIT_RSA, BIT_RSA},  {0x0806, BIT_RSA, BIT_RSA},
    {0x0807, ED25519, ED25519},
};

static unsigned allowed_types(uint16_t scheme, bool tls13)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (allowed[i].scheme == scheme)
            return tls13 ? allowed[i].tls13 : allowed[i].tls12;
    return 0;
}

static void every_scheme_fits_exactly_the_keys_it_should(void **state)
{
    struct operation tls13 = keys_tls13(gate_rsa, 0, 32);
    struct operation tls12 = keys_tls12(gate_rsa, 0, CURVE_X25519);
    (void)state;
    for (unsigned scheme = 0; scheme < 0x10000; scheme++) {
        tls13.u.sign_tls13.scheme = tls12.u.sign_tls12.scheme = (uint16_t)scheme;
        for (unsigned type = 1; type < KEY_TYPES; type++) {
            unsigned bit = 1u << type;
            assert_int_equal(gate_check(&tls13, &gate_keys[type]),
                             allowed_types((uint16_t)scheme, true) & bit ? REFUSAL_NONE : REFUSAL_SCHEME);
            assert_int_equal(gate_check(&tls12, &gate_keys[type]),
                             allowed_types((uint16_t)scheme, false) & bit ? REFUSAL_NONE : REFUSAL_SCHEME);
        }
    }
}

static void other_operations_have_no_gate(void **state)
{
    struct operation operation = keys_tls13(gate_rsa, SCHEME_ED25519, 32);
    static const unsigned kinds[] = {0, OP_PING, OP_KEYS, OP_KINDS, 0xffffffff};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        operation.kind = (enum operation_kind)kinds[i];
        assert_int_equal(gate_check(&operation, &gate_keys[KEY_ED25519]), REFUSAL_UNKNOWN_OPERATION);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scheme_fits_exactly_the_keys_it_should),
        cmocka_unit_test(other_operations_have_no_gate),
    };
    return cmocka_run_group_tests(tests, gate_rig_start, gate_rig_stop);
}
