#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/noise.h"
#include "common/secret.h"

#define VECTORS     "tests/vectors/noise-ikpsk2.json"
#define MESSAGE_MAX 256

struct bytes {
    uint8_t at[MESSAGE_MAX];
    size_t length;
};

/* One published vector, with the state of both sides. */
struct vector {
    json_t *json; /* borrowed */
    struct noise_handshake initiator;
    struct noise_handshake responder;
    uint8_t psk[NOISE_KEY_SIZE];
    struct noise_cipher sender[2];   /* of the initiator, of the responder */
    struct noise_cipher receiver[2]; /* of the initiator, of the responder */
};

static void get_hex(const json_t *object, const char *name, struct bytes *out)
{
    const char *text = json_string_value(json_object_get(object, name));
    assert_non_null(text);
    out->length = strlen(text) / 2;
    assert_true(out->length <= sizeof out->at);
    assert_int_equal(hex_decode(out->at, out->length, text), 0);
}

static void get_key(const json_t *object, const char *name, uint8_t out[static NOISE_KEY_SIZE])
{
    struct bytes bytes;
    get_hex(object, name, &bytes);
    assert_int_equal(bytes.length, NOISE_KEY_SIZE);
    memcpy(out, bytes.at, NOISE_KEY_SIZE);
}

static void get_psk(const json_t *object, const char *name, uint8_t out[static NOISE_KEY_SIZE])
{
    const json_t *list = json_object_get(object, name);
    assert_int_equal(json_array_size(list), 1);
    assert_int_equal(hex_decode(out, NOISE_KEY_SIZE, json_string_value(json_array_get(list, 0))), 0);
}

static void get_message(const struct vector *v, size_t i, struct bytes *payload, struct bytes *ciphertext)
{
    const json_t *message = json_array_get(json_object_get(v->json, "messages"), i);
    assert_non_null(message);
    get_hex(message, "payload", payload);
    get_hex(message, "ciphertext", ciphertext);
}

static void start_vector(struct vector *v)
{
    struct identity initiator, responder;
    struct bytes prologue;
    uint8_t remote[NOISE_KEY_SIZE], psk[NOISE_KEY_SIZE];
    get_key(v->json, "init_static", initiator.secret);
    get_key(v->json, "resp_static", responder.secret);
    identity_derive(&initiator);
    identity_derive(&responder);
    get_key(v->json, "init_remote_static", remote);
    assert_memory_equal(remote, responder.public, sizeof remote);
    get_hex(v->json, "init_prologue", &prologue);
    noise_initiator_init(&v->initiator, prologue.at, prologue.length, &initiator, remote);
    get_hex(v->json, "resp_prologue", &prologue);
    noise_responder_init(&v->responder, prologue.at, prologue.length, &responder);
    get_key(v->json, "init_ephemeral", v->initiator.ephemeral.secret);
    get_key(v->json, "resp_ephemeral", v->responder.ephemeral.secret);
    get_psk(v->json, "init_psks", v->psk);
    get_psk(v->json, "resp_psks", psk);
    assert_memory_equal(psk, v->psk, sizeof psk);
}

static void shake_hands(struct vector *v)
{
    struct bytes payload, ciphertext;
    uint8_t out[MESSAGE_MAX];
    get_message(v, 0, &payload, &ciphertext);
    assert_int_equal(ciphertext.length, NOISE_MESSAGE1_SIZE + payload.length);
    assert_int_equal(noise_write_message1(&v->initiator, payload.at, payload.length, out), 0);
    assert_memory_equal(out, ciphertext.at, ciphertext.length);
    assert_int_equal(noise_read_message1(&v->responder, ciphertext.at, ciphertext.length, out), 0);
    assert_memory_equal(out, payload.at, payload.length);
    assert_memory_equal(v->responder.peer, v->initiator.self.public, NOISE_KEY_SIZE);

    get_message(v, 1, &payload, &ciphertext);
    assert_int_equal(ciphertext.length, NOISE_MESSAGE2_SIZE + payload.length);
    assert_int_equal(noise_write_message2(&v->responder, v->psk, payload.at, payload.length, out), 0);
    assert_memory_equal(out, ciphertext.at, ciphertext.length);
    assert_int_equal(noise_read_message2(&v->initiator, v->psk, ciphertext.at, ciphertext.length, out), 0);
    assert_memory_equal(out, payload.at, payload.length);
}

static void split(struct vector *v)
{
    uint8_t hash[NOISE_HASH_SIZE];
    get_key(v->json, "handshake_hash", hash);
    noise_split(&v->initiator, &v->sender[0], &v->receiver[0]);
    noise_split(&v->responder, &v->receiver[1], &v->sender[1]);
    assert_memory_equal(v->initiator.hash, hash, sizeof hash);
    assert_memory_equal(v->responder.hash, hash, sizeof hash);
}

static void transport(struct vector *v)
{
    struct bytes payload, ciphertext;
    uint8_t out[MESSAGE_MAX];
    for (size_t i = 2; i < json_array_size(json_object_get(v->json, "messages")); i++) {
        get_message(v, i, &payload, &ciphertext);
        assert_int_equal(noise_seal(&v->sender[i % 2], payload.at, payload.length, out), 0);
        assert_memory_equal(out, ciphertext.at, ciphertext.length);
        assert_int_equal(noise_open(&v->receiver[1 - i % 2], ciphertext.at, ciphertext.length, out), 0);
        assert_memory_equal(out, payload.at, payload.length);
    }
}

static void published_vectors_hold_in_both_roles(void **state)
{
    (void)state;
    json_t *root = json_load_file(VECTORS, 0, NULL);
    assert_non_null(root);
    json_t *list = json_object_get(root, "vectors"), *json;
    size_t i, tried = 0;
    json_array_foreach(list, i, json)
    {
        struct vector v = {.json = json};
        const char *name = json_string_value(json_object_get(json, "protocol_name"));
        if (strcmp(name, "Noise_IKpsk2_25519_ChaChaPoly_SHA256") != 0)
            continue; /* IK without a pre-shared key is another protocol */
        start_vector(&v);
        shake_hands(&v);
        split(&v);
        transport(&v);
        tried++;
    }
    assert_true(tried >= 1);
    json_decref(root);
}

/* ---- a pair of our own ---- */

static struct identity edge, server;
static uint8_t psk[NOISE_KEY_SIZE];

static void make_pair(struct noise_handshake *i, struct noise_handshake *r)
{
    identity_generate(&edge);
    identity_generate(&server);
    random_bytes(psk, sizeof psk);
    noise_initiator_init(i, "p", 1, &edge, server.public);
    noise_responder_init(r, "p", 1, &server);
}

static void open_pair(struct noise_cipher to_responder[static 2], struct noise_cipher to_initiator[static 2])
{
    struct noise_handshake i, r;
    uint8_t one[NOISE_MESSAGE1_SIZE], two[NOISE_MESSAGE2_SIZE];
    make_pair(&i, &r);
    assert_int_equal(noise_write_message1(&i, NULL, 0, one), 0);
    assert_int_equal(noise_read_message1(&r, one, sizeof one, NULL), 0);
    assert_int_equal(noise_write_message2(&r, psk, NULL, 0, two), 0);
    assert_int_equal(noise_read_message2(&i, psk, two, sizeof two, NULL), 0);
    noise_split(&i, &to_responder[0], &to_initiator[0]);
    noise_split(&r, &to_responder[1], &to_initiator[1]);
    assert_memory_equal(i.hash, r.hash, NOISE_HASH_SIZE);
}

static void messages_without_payload_have_the_fixed_sizes_and_both_sides_agree(void **state)
{
    (void)state;
    struct noise_cipher to_responder[2], to_initiator[2];
    open_pair(to_responder, to_initiator);
    assert_memory_equal(&to_responder[0], &to_responder[1], sizeof to_responder[0]);
    assert_memory_equal(&to_initiator[0], &to_initiator[1], sizeof to_initiator[0]);
    assert_memory_not_equal(to_responder[0].key, to_initiator[0].key, NOISE_KEY_SIZE);
}

static void every_flipped_bit_of_message_1_is_refused(void **state)
{
    (void)state;
    struct noise_handshake i, r;
    uint8_t one[NOISE_MESSAGE1_SIZE];
    make_pair(&i, &r);
    assert_int_equal(noise_write_message1(&i, NULL, 0, one), 0);
    for (size_t bit = 0; bit < 8 * sizeof one; bit++) { /* also bit 255, which X25519 itself ignores */
        one[bit / 8] ^= (uint8_t)(1 << bit % 8);
        noise_responder_init(&r, "p", 1, &server);
        assert_int_equal(noise_read_message1(&r, one, sizeof one, NULL), ERR_CRYPTO);
        one[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void every_flipped_byte_of_message_2_is_refused(void **state)
{
    (void)state;
    struct noise_handshake i, r;
    uint8_t one[NOISE_MESSAGE1_SIZE], two[NOISE_MESSAGE2_SIZE];
    make_pair(&i, &r);
    assert_int_equal(noise_write_message1(&i, NULL, 0, one), 0);
    assert_int_equal(noise_read_message1(&r, one, sizeof one, NULL), 0);
    assert_int_equal(noise_write_message2(&r, psk, NULL, 0, two), 0);
    for (size_t at = 0; at < sizeof two; at++) {
        struct noise_handshake copy = i;
        two[at] ^= 1;
        assert_int_equal(noise_read_message2(&copy, psk, two, sizeof two, NULL), ERR_CRYPTO);
        two[at] ^= 1;
    }
    assert_int_equal(noise_read_message2(&i, psk, two, sizeof two, NULL), 0);
}

static void another_psk_prologue_or_server_key_is_refused(void **state)
{
    (void)state;
    struct noise_handshake i, r;
    struct identity other;
    uint8_t one[NOISE_MESSAGE1_SIZE], two[NOISE_MESSAGE2_SIZE], other_psk[NOISE_KEY_SIZE] = {1};
    make_pair(&i, &r);
    assert_int_equal(noise_write_message1(&i, NULL, 0, one), 0);
    noise_responder_init(&r, "q", 1, &server);
    assert_int_equal(noise_read_message1(&r, one, sizeof one, NULL), ERR_CRYPTO);
    identity_generate(&other);
    noise_responder_init(&r, "p", 1, &other);
    assert_int_equal(noise_read_message1(&r, one, sizeof one, NULL), ERR_CRYPTO);
    noise_responder_init(&r, "p", 1, &server);
    assert_int_equal(noise_read_message1(&r, one, sizeof one, NULL), 0);
    assert_int_equal(noise_write_message2(&r, other_psk, NULL, 0, two), 0);
    assert_int_equal(noise_read_message2(&i, psk, two, sizeof two, NULL), ERR_CRYPTO);
}

static void wrong_lengths_are_refused(void **state)
{
    (void)state;
    static uint8_t message[NOISE_MESSAGE_MAX + 1], payload[NOISE_MESSAGE_MAX + 1];
    struct noise_handshake i, r;
    make_pair(&i, &r);
    assert_int_equal(noise_read_message1(&r, message, NOISE_MESSAGE1_SIZE - 1, payload), ERR_LENGTH);
    assert_int_equal(noise_read_message1(&r, message, NOISE_MESSAGE_MAX + 1, payload), ERR_LENGTH);
    assert_int_equal(noise_read_message2(&i, psk, message, NOISE_MESSAGE2_SIZE - 1, payload), ERR_LENGTH);
    assert_int_equal(noise_read_message2(&i, psk, message, NOISE_MESSAGE_MAX + 1, payload), ERR_LENGTH);
}

static void keys_of_low_order_are_refused(void **state)
{
    (void)state;
    static const uint8_t zero[NOISE_KEY_SIZE];
    struct noise_handshake i, r;
    uint8_t one[NOISE_MESSAGE1_SIZE] = {0}, two[NOISE_MESSAGE2_SIZE] = {0};
    make_pair(&i, &r);
    assert_int_equal(noise_read_message1(&r, one, sizeof one, NULL), ERR_CRYPTO);
    assert_int_equal(noise_write_message1(&i, NULL, 0, one), 0);
    assert_int_equal(noise_read_message2(&i, psk, two, sizeof two, NULL), ERR_CRYPTO);
    noise_initiator_init(&i, "p", 1, &edge, zero);
    assert_int_equal(noise_write_message1(&i, NULL, 0, one), ERR_CRYPTO);
    noise_responder_init(&r, "p", 1, &server);
    assert_int_equal(noise_write_message2(&r, psk, NULL, 0, two), ERR_CRYPTO);
}

static void a_failed_open_leaves_the_counter_and_replay_or_reorder_fail(void **state)
{
    (void)state;
    struct noise_cipher out[2], back[2];
    uint8_t a[3 + NOISE_TAG_SIZE], b[3 + NOISE_TAG_SIZE], plain[3];
    open_pair(out, back);
    assert_int_equal(noise_seal(&out[0], (const uint8_t *)"one", 3, a), 0);
    assert_int_equal(noise_seal(&out[0], (const uint8_t *)"two", 3, b), 0);
    assert_int_equal(noise_open(&out[1], b, sizeof b, plain), ERR_CRYPTO);
    assert_int_equal(noise_open(&out[1], a, NOISE_TAG_SIZE - 1, plain), ERR_CRYPTO);
    assert_int_equal(out[1].counter, 0);
    assert_int_equal(noise_open(&out[1], a, sizeof a, plain), 0);
    assert_memory_equal(plain, "one", 3);
    assert_int_equal(noise_open(&out[1], a, sizeof a, plain), ERR_CRYPTO);
    assert_int_equal(out[1].counter, 1);
    assert_int_equal(noise_open(&out[1], b, sizeof b, b), 0);
    assert_memory_equal(b, "two", 3);
}

static void sealing_works_in_place_and_stops_at_the_reserved_counter(void **state)
{
    (void)state;
    struct noise_cipher out[2], back[2];
    uint8_t text[3 + NOISE_TAG_SIZE] = "abc";
    open_pair(out, back);
    out[0].counter = out[1].counter = UINT64_MAX - 1;
    assert_int_equal(noise_seal(&out[0], text, 3, text), 0);
    assert_int_equal(noise_open(&out[1], text, sizeof text, text), 0);
    assert_memory_equal(text, "abc", 3);
    assert_int_equal(noise_seal(&out[0], text, 3, text), ERR_CRYPTO);
    assert_int_equal(noise_open(&out[1], text, sizeof text, text), ERR_CRYPTO);
}

static void rekey_changes_the_key_on_both_sides_alike_and_keeps_the_counter(void **state)
{
    (void)state;
    struct noise_cipher out[2], back[2], before;
    uint8_t text[3 + NOISE_TAG_SIZE];
    open_pair(out, back);
    out[0].counter = out[1].counter = 7;
    before = out[0];
    noise_rekey(&out[0]);
    assert_memory_not_equal(before.key, out[0].key, NOISE_KEY_SIZE);
    assert_int_equal(out[0].counter, 7);
    assert_int_equal(noise_seal(&out[0], (const uint8_t *)"abc", 3, text), 0);
    assert_int_equal(noise_open(&out[1], text, sizeof text, text), ERR_CRYPTO);
    assert_int_equal(noise_seal(&before, (const uint8_t *)"abc", 3, text), 0);
    noise_rekey(&out[1]);
    assert_memory_not_equal(before.key, out[1].key, NOISE_KEY_SIZE);
    assert_int_equal(noise_open(&out[1], text, sizeof text, text), ERR_CRYPTO);
}

/* Section 4.2 by other means: block 1 of ChaCha20 with nonce 2^64-1, as `openssl enc -chacha20` gives it. */
static void rekey_gives_the_key_that_chacha20_gives(void **state)
{
    (void)state;
    struct noise_cipher c = {.counter = 5};
    uint8_t expected[NOISE_KEY_SIZE];
    for (size_t i = 0; i < sizeof c.key; i++)
        c.key[i] = (uint8_t)i;
    assert_int_equal(hex_decode(expected, sizeof expected,
                                "50835543a205b22c9323f2022bc4f67d838f90e61d5ccf33c4513e01f85b5042"),
                     0);
    noise_rekey(&c);
    assert_memory_equal(c.key, expected, sizeof expected);
}

static void split_wipes_the_handshake_but_its_hash(void **state)
{
    (void)state;
    struct noise_handshake i, r, empty = {0};
    struct noise_cipher a, b;
    make_pair(&i, &r);
    noise_split(&i, &a, &b);
    memcpy(empty.hash, i.hash, sizeof empty.hash);
    assert_memory_equal(&i, &empty, sizeof i);
    noise_handshake_clear(&r);
    memset(&empty, 0, sizeof empty);
    assert_memory_equal(&r, &empty, sizeof r);
    noise_cipher_clear(&a);
    assert_memory_equal(&a, &empty, sizeof a);
}

static int start_library(void **state)
{
    (void)state;
    return secret_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_hold_in_both_roles),
        cmocka_unit_test(messages_without_payload_have_the_fixed_sizes_and_both_sides_agree),
        cmocka_unit_test(every_flipped_bit_of_message_1_is_refused),
        cmocka_unit_test(every_flipped_byte_of_message_2_is_refused),
        cmocka_unit_test(another_psk_prologue_or_server_key_is_refused),
        cmocka_unit_test(wrong_lengths_are_refused),
        cmocka_unit_test(keys_of_low_order_are_refused),
        cmocka_unit_test(a_failed_open_leaves_the_counter_and_replay_or_reorder_fail),
        cmocka_unit_test(sealing_works_in_place_and_stops_at_the_reserved_counter),
        cmocka_unit_test(rekey_changes_the_key_on_both_sides_alike_and_keeps_the_counter),
        cmocka_unit_test(rekey_gives_the_key_that_chacha20_gives),
        cmocka_unit_test(split_wipes_the_handshake_but_its_hash),
    };
    return cmocka_run_group_tests(tests, start_library, NULL);
}
