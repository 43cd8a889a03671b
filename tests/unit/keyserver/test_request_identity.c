#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/bytes.h"
#include "common/secret.h"
#include "keyserver/vault/request/request_identity.h"

static struct hasher hasher;

static uint8_t messages[HANDSHAKE_MAX];

/* An operation of KIND with every field at its longest and every byte known. */
static struct operation make(enum operation_kind kind)
{
    struct operation operation = {.kind = kind};
    for (size_t i = 0; i < KEY_ID_SIZE; i++)
        operation.key_id[i] = (uint8_t)i;
    switch (kind) {
    case OP_SIGN_TLS13:
        operation.u.sign_tls13.scheme = SCHEME_RSA_PSS_RSAE_SHA256;
        operation.u.sign_tls13.hash_length = TRANSCRIPT_HASH_MAX;
        for (size_t i = 0; i < TRANSCRIPT_HASH_MAX; i++)
            operation.u.sign_tls13.hash[i] = (uint8_t)(0x40 + i);
        break;
    case OP_SIGN_TLS12:
        operation.u.sign_tls12.scheme = SCHEME_ECDSA_P256_SHA256;
        operation.u.sign_tls12.params_length = 36;
        memset(operation.u.sign_tls12.client_random, 0x11, TLS_RANDOM_SIZE);
        memset(operation.u.sign_tls12.server_random, 0x22, TLS_RANDOM_SIZE);
        memcpy(operation.u.sign_tls12.params, (const uint8_t[]){3, 0, 29, 32}, 4);
        memset(operation.u.sign_tls12.params + 4, 0x33, 32);
        break;
    case OP_RSA_PREMASTER:
        operation.u.rsa_premaster.client_version = 0x0303;
        operation.u.rsa_premaster.ciphertext_length = RSA_MODULUS_MAX;
        for (size_t i = 0; i < RSA_MODULUS_MAX; i++)
            operation.u.rsa_premaster.ciphertext[i] = (uint8_t)(3 * i);
        break;
    default:
        for (size_t i = 0; i < sizeof messages; i++)
            messages[i] = (uint8_t)(5 * i);
        operation.u.rsa_master.messages = messages;
        operation.u.rsa_master.length = 5000;
        break;
    }
    return operation;
}

static void assert_digest(const struct operation *operation, const char *expected)
{
    uint8_t digest[REQUEST_DIGEST_SIZE];
    char text[2 * REQUEST_DIGEST_SIZE + 1];
    request_digest(&hasher, digest, operation);
    assert_string_equal(hex_encode(text, digest, sizeof digest), expected);
}

/* Records stay for years. Computed once with Python, as hashlib.sha256(kind + key_id +
 * fields).hexdigest()[:32] with key_id = bytes(range(32)): */
static void digests_never_change(void **state)
{
    struct operation operation = make(OP_SIGN_TLS13);
    (void)state;
    /* b"\x08\x04" + bytes(range(0x40, 0x70)) */
    assert_digest(&operation, "3c5339071a5cfa114efb6c9177739f36");
    operation.u.sign_tls13.hash_length = 32;
    assert_digest(&operation, "274981a31abfc85c657bd88c83f891e8");
    operation = make(OP_SIGN_TLS12);
    /* b"\x04\x03" + b"\x11" * 32 + b"\x22" * 32 + bytes([3, 0, 29, 32]) + b"\x33" * 32 */
    assert_digest(&operation, "ba7ee10c087152868141721b2a8b6ce1");
    operation = make(OP_RSA_PREMASTER);
    /* b"\3\3" + bytes(3 * i & 255 for i in range(512)) */
    assert_digest(&operation, "2cae3e66ea27e4db8b2606e0227a0a01");
    operation.u.rsa_premaster.ciphertext_length = 256;
    assert_digest(&operation, "f63bc47e134210cf5e3774191407e095");
    operation = make(OP_RSA_MASTER);
    /* bytes(5 * i & 255 for i in range(5000)) */
    assert_digest(&operation, "9a2f6ea1616ae4cee602d29ed560fc8e");
    operation.u.rsa_master.length = 0;
    assert_digest(&operation, "f491bc2bbfdc77fbe8203cc9e69d34e5");
    operation = make(OP_KEYS); /* no fields */
    assert_digest(&operation, "121e01fd47d8c2ecdb10fa6f0a51a97a");
}

/* Changes each of COUNT bytes at BYTES, a part of OPERATION: each makes another digest. */
static void assert_matters(const struct operation *operation, void *bytes, size_t count)
{
    uint8_t before[REQUEST_DIGEST_SIZE], after[REQUEST_DIGEST_SIZE], *byte = bytes;
    request_digest(&hasher, before, operation);
    for (size_t i = 0; i < count; i++) {
        byte[i] ^= 0x80;
        request_digest(&hasher, after, operation);
        byte[i] ^= 0x80;
        assert_memory_not_equal(after, before, sizeof after);
    }
}

static void every_byte_of_every_field_matters(void **state)
{
    struct operation operation = make(OP_SIGN_TLS13);
    (void)state;
    assert_matters(&operation, operation.key_id, KEY_ID_SIZE);
    assert_matters(&operation, &operation.u.sign_tls13.scheme, 2);
    assert_matters(&operation, operation.u.sign_tls13.hash, TRANSCRIPT_HASH_MAX);
    operation = make(OP_SIGN_TLS12);
    assert_matters(&operation, &operation.u.sign_tls12.scheme, 2);
    assert_matters(&operation, operation.u.sign_tls12.client_random, TLS_RANDOM_SIZE);
    assert_matters(&operation, operation.u.sign_tls12.server_random, TLS_RANDOM_SIZE);
    assert_matters(&operation, operation.u.sign_tls12.params, 36);
    operation = make(OP_RSA_PREMASTER);
    assert_matters(&operation, &operation.u.rsa_premaster.client_version, 2);
    assert_matters(&operation, operation.u.rsa_premaster.ciphertext, RSA_MODULUS_MAX);
    operation = make(OP_RSA_MASTER);
    assert_matters(&operation, messages, 5000);
    operation.u.rsa_master.length = HANDSHAKE_MAX;
    assert_matters(&operation, messages + HANDSHAKE_MAX - 10, 10);
}

static void what_lies_behind_a_field_does_not_matter(void **state)
{
    struct operation operation = make(OP_RSA_MASTER), other;
    uint8_t first[REQUEST_DIGEST_SIZE], second[REQUEST_DIGEST_SIZE];
    (void)state;
    request_digest(&hasher, first, &operation);
    messages[5000] ^= 1;
    request_digest(&hasher, second, &operation);
    assert_memory_equal(first, second, sizeof first);
    operation = other = make(OP_RSA_PREMASTER);
    operation.u.rsa_premaster.ciphertext_length = other.u.rsa_premaster.ciphertext_length = 256;
    other.u.rsa_premaster.ciphertext[256] ^= 1;
    request_digest(&hasher, first, &operation);
    request_digest(&hasher, second, &other);
    assert_memory_equal(first, second, sizeof first);
}

/* The same bytes asked for in another way are another request. */
static void the_kind_matters(void **state)
{
    struct operation operation = make(OP_KEYS);
    uint8_t seen[3][REQUEST_DIGEST_SIZE];
    static const enum operation_kind kinds[] = {OP_PING, OP_KEYS, OP_RSA_MASTER};
    (void)state;
    operation.u.rsa_master.length = 0;
    for (size_t i = 0; i < 3; i++) {
        operation.kind = kinds[i];
        request_digest(&hasher, seen[i], &operation);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(seen[i], seen[j], REQUEST_DIGEST_SIZE);
    }
}

static int start(void **state)
{
    (void)state;
    return secret_init() != 0 || hasher_init(&hasher) != 0;
}

static int stop(void **state)
{
    (void)state;
    hasher_clear(&hasher);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_never_change),
        cmocka_unit_test(every_byte_of_every_field_matters),
        cmocka_unit_test(what_lies_behind_a_field_does_not_matter),
        cmocka_unit_test(the_kind_matters),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
