/* What the gate makes of sign_tls13: the content that RFC 8446 signs, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/bytes.h"
#include "tests/unit/keyserver/gate_rig.h"

static void a_transcript_hash_has_32_or_48_bytes(void **state)
{
    (void)state;
    for (uint16_t length = 0; length <= TRANSCRIPT_HASH_MAX; length++) {
        struct operation operation = keys_tls13(gate_rsa, SCHEME_RSA_PSS_RSAE_SHA256, length);
        assert_int_equal(gate_check(&operation, &gate_keys[KEY_RSA]),
                         length == 32 || length == 48 ? REFUSAL_NONE : REFUSAL_STRUCTURE);
    }
}

static void tls13_content_is_what_the_rfc_says(void **state)
{
    uint8_t built[256], expected[256];
    (void)state;
    for (uint16_t length = 32; length <= 48; length = (uint16_t)(length + 16)) {
        struct operation operation = keys_tls13(gate_rsa, SCHEME_RSA_PSS_RSAE_SHA256, length);
        size_t size = keys_content(&operation, expected);
        assert_int_equal(size, length == 32 ? 130 : 146);
        assert_int_equal(gate_build(&operation, &gate_keys[KEY_RSA], built), size);
        assert_memory_equal(built, expected, size);
    }
}

/* RFC 8446, 4.4.3: its own example, for the server's context and a hash of 32 bytes of 01. */
static void tls13_content_equals_the_example_of_the_rfc(void **state)
{
    struct operation operation = keys_tls13(gate_rsa, SCHEME_RSA_PSS_RSAE_SHA256, 32);
    uint8_t built[256], expected[130];
    (void)state;
    memset(operation.u.sign_tls13.hash, 1, 32);
    assert_int_equal(hex_decode(expected, sizeof expected,
                                "2020202020202020202020202020202020202020202020202020202020202020"
                                "2020202020202020202020202020202020202020202020202020202020202020"
                                "544c5320312e332c20736572766572204365727469666963617465"
                                "56657269667900"
                                "0101010101010101010101010101010101010101010101010101010101010101"),
                     0);
    assert_int_equal(gate_build(&operation, &gate_keys[KEY_RSA], built), sizeof expected);
    assert_memory_equal(built, expected, sizeof expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transcript_hash_has_32_or_48_bytes),
        cmocka_unit_test(tls13_content_is_what_the_rfc_says),
        cmocka_unit_test(tls13_content_equals_the_example_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, gate_rig_start, gate_rig_stop);
}
