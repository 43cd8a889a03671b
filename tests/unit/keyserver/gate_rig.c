#include "tests/unit/keyserver/gate_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

EVP_PKEY *gate_rsa;
struct key gate_keys[KEY_TYPES];

int gate_rig_start(void **state)
{
    BIGNUM *n = NULL;
    (void)state;
    if (secret_init() != 0 || gate_start() != 0)
        return -1;
    gate_rsa = keys_rsa(2048);
    for (size_t type = 1; type < KEY_TYPES; type++)
        gate_keys[type].type = (enum key_type)type;
    gate_keys[KEY_RSA].bits = 2048;
    gate_keys[KEY_RSA].result_size = 256;
    assert_int_equal(EVP_PKEY_get_bn_param(gate_rsa, OSSL_PKEY_PARAM_RSA_N, &n), 1);
    assert_int_equal(BN_bn2binpad(n, gate_keys[KEY_RSA].modulus, 256), 256);
    BN_free(n);
    return 0;
}

int gate_rig_stop(void **state)
{
    (void)state;
    EVP_PKEY_free(gate_rsa);
    gate_stop();
    return 0;
}

enum refusal gate_check(const struct operation *operation, const struct key *key)
{
    struct crypto_input input;
    struct transcript seen;
    return gate_pass(operation, key, &input, &seen);
}

/* What KEY would sign for OPERATION, which passes; returns its length. */
size_t gate_build(const struct operation *operation, const struct key *key, uint8_t out[static 256])
{
    struct crypto_input input;
    struct transcript seen;
    assert_int_equal(gate_pass(operation, key, &input, &seen), REFUSAL_NONE);
    assert_int_equal(input.kind, operation->kind);
    memcpy(out, input.u.sign.content, input.u.sign.length);
    return input.u.sign.length;
}
