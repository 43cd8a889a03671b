/* Recomputes the worked example of proto/PROTOCOL.md and compares it with tests/vectors/protocol-example.txt,
 * which was made with another implementation of Noise and of protobuf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/channel.h"
#include "common/frame.h"
#include "common/noise.h"
#include "common/secret.h"
#include "proto/msg.h"

#define LABEL_SIZE    (sizeof CHANNEL_PROLOGUE_LABEL - 1)
#define PROLOGUE_SIZE (LABEL_SIZE + NOISE_KEY_SIZE)

enum { KIND_DATA, KIND_REKEY, KIND_CLOSE, KIND_PING, KIND_PONG };

/* Both ends of one channel, in their state after what was computed so far. */
struct example {
    struct noise_handshake edge;
    struct noise_handshake server;
    struct noise_cipher edge_sends, server_opens; /* to the key server */
    struct noise_cipher server_sends, edge_opens; /* to the edge */
    struct buffer text;                           /* the example as it must stand in the file */
};

static struct example example;

static void count_up(uint8_t *out, uint8_t first, size_t length)
{
    for (size_t i = 0; i < length; i++)
        out[i] = (uint8_t)(first + i);
}

static void put(const char *name, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    char line[65];
    buffer_printf(&example.text, "%s\n", name);
    for (size_t done = 0; done < length; done += 32)
        buffer_printf(&example.text, "    %s\n",
                      hex_encode(line, at + done, length - done < 32 ? length - done : 32));
}

/* Seals KIND and BODY, puts the frame down under NAME, and checks that the other end opens it. */
static void put_frame(const char *name, struct noise_cipher *sends, struct noise_cipher *opens, uint8_t kind,
                      const void *body, size_t length)
{
    uint8_t frame[1024];
    uint8_t opened[1024];
    size_t sealed = 1 + length + NOISE_TAG_SIZE;
    assert_true(FRAME_HEADER_SIZE + sealed <= sizeof frame);
    frame_header(frame, sealed);
    frame[FRAME_HEADER_SIZE] = kind;
    if (length > 0)
        memcpy(frame + FRAME_HEADER_SIZE + 1, body, length);
    assert_int_equal(noise_seal(sends, frame + FRAME_HEADER_SIZE, 1 + length, frame + FRAME_HEADER_SIZE), 0);
    put(name, frame, FRAME_HEADER_SIZE + sealed);
    assert_int_equal(noise_open(opens, frame + FRAME_HEADER_SIZE, sealed, opened), 0);
    assert_int_equal(opened[0], kind);
}

static void shake_hands(void)
{
    struct example *e = &example;
    struct identity edge;
    struct identity server;
    uint8_t prologue[PROLOGUE_SIZE];
    uint8_t psk[NOISE_KEY_SIZE];
    uint8_t message1[NOISE_MESSAGE1_SIZE];
    uint8_t message2[NOISE_MESSAGE2_SIZE];
    count_up(edge.secret, 0x01, sizeof edge.secret);
    count_up(server.secret, 0x21, sizeof server.secret);
    count_up(psk, 0x81, sizeof psk);
    identity_derive(&edge);
    identity_derive(&server);
    memcpy(prologue, CHANNEL_PROLOGUE_LABEL, LABEL_SIZE);
    memcpy(prologue + LABEL_SIZE, server.public, NOISE_KEY_SIZE);
    noise_initiator_init(&e->edge, prologue, sizeof prologue, &edge, server.public);
    noise_responder_init(&e->server, prologue, sizeof prologue, &server);
    count_up(e->edge.ephemeral.secret, 0x41, NOISE_KEY_SIZE);
    count_up(e->server.ephemeral.secret, 0x61, NOISE_KEY_SIZE);
    put("edge_static_secret", edge.secret, NOISE_KEY_SIZE);
    put("edge_static_public", edge.public, NOISE_KEY_SIZE);
    put("edge_ephemeral_secret", e->edge.ephemeral.secret, NOISE_KEY_SIZE);
    put("server_static_secret", server.secret, NOISE_KEY_SIZE);
    put("server_static_public", server.public, NOISE_KEY_SIZE);
    put("server_ephemeral_secret", e->server.ephemeral.secret, NOISE_KEY_SIZE);
    put("pre_shared_key", psk, sizeof psk);
    put("prologue", prologue, sizeof prologue);
    assert_int_equal(noise_write_message1(&e->edge, NULL, 0, message1), 0);
    assert_int_equal(noise_read_message1(&e->server, message1, sizeof message1, NULL), 0);
    assert_memory_equal(e->server.peer, edge.public, NOISE_KEY_SIZE);
    assert_int_equal(noise_write_message2(&e->server, psk, NULL, 0, message2), 0);
    assert_int_equal(noise_read_message2(&e->edge, psk, message2, sizeof message2, NULL), 0);
    put("message_1", message1, sizeof message1);
    put("message_2", message2, sizeof message2);
    noise_split(&e->edge, &e->edge_sends, &e->edge_opens);
    noise_split(&e->server, &e->server_opens, &e->server_sends);
    assert_memory_equal(e->edge.hash, e->server.hash, NOISE_HASH_SIZE);
    put("handshake_hash", e->edge.hash, NOISE_HASH_SIZE);
    put("key_edge_to_server", e->edge_sends.key, NOISE_KEY_SIZE);
    put("key_server_to_edge", e->server_sends.key, NOISE_KEY_SIZE);
}

/* Puts PACKED down as NAME and its frame, and empties it. */
static void put_message(const char *name, const char *frame_name, bool to_server, struct buffer *packed)
{
    struct example *e = &example;
    put(name, buffer_bytes(packed), buffer_length(packed));
    put_frame(frame_name, to_server ? &e->edge_sends : &e->server_sends,
              to_server ? &e->server_opens : &e->edge_opens, KIND_DATA, buffer_bytes(packed),
              buffer_length(packed));
    buffer_clear(packed);
}

static void exchange_hellos(void)
{
    const struct msg_hello edge = {1, 1, 0, "example"};
    const struct msg_hello server = {1, 1, 256, "example"};
    struct buffer packed = {0};
    assert_int_equal(msg_pack_hello(&packed, &edge), 0);
    put_message("edge_hello", "edge_hello_frame", true, &packed);
    assert_int_equal(msg_pack_hello(&packed, &server), 0);
    put_message("server_hello", "server_hello_frame", false, &packed);
}

static void exchange_batches(void)
{
    struct msg_request requests[2] = {{.id = 1, .deadline_ms = 2000}, {.id = 2, .deadline_ms = 2000}};
    struct msg_answer answers[2] = {{.id = 2, .in_flight = 1, .workers = 4}, {.id = 1, .outcome.length = 64}};
    struct buffer packed = {0};
    count_up(requests[0].trace.bytes, 0xd0, TRACE_ID_SIZE);
    count_up(requests[1].trace.bytes, 0xd0, TRACE_ID_SIZE);
    requests[0].operation.kind = OP_SIGN_TLS13;
    count_up(requests[0].operation.key_id, 0xa0, KEY_ID_SIZE);
    requests[0].operation.u.sign_tls13.scheme = SCHEME_ED25519;
    requests[0].operation.u.sign_tls13.hash_length = 32;
    count_up(requests[0].operation.u.sign_tls13.hash, 0, 32);
    requests[1].operation.kind = OP_PING;
    count_up(answers[1].outcome.bytes, 0x30, 64);
    assert_int_equal(msg_pack_requests(&packed, requests, 2), 0);
    put_message("requests", "requests_frame", true, &packed);
    assert_int_equal(msg_pack_answers(&packed, answers, 2), 0);
    put_message("answers", "answers_frame", false, &packed);
}

static void end_the_channel(void)
{
    struct example *e = &example;
    uint8_t opaque[8];
    count_up(opaque, 0xf0, sizeof opaque);
    put_frame("edge_ping_frame", &e->edge_sends, &e->server_opens, KIND_PING, opaque, sizeof opaque);
    put_frame("server_pong_frame", &e->server_sends, &e->edge_opens, KIND_PONG, opaque, sizeof opaque);
    put_frame("edge_rekey_frame", &e->edge_sends, &e->server_opens, KIND_REKEY, NULL, 0);
    noise_rekey(&e->edge_sends);
    noise_rekey(&e->server_opens);
    put("key_edge_to_server_after_rekey", e->edge_sends.key, NOISE_KEY_SIZE);
    put_frame("edge_close_frame", &e->edge_sends, &e->server_opens, KIND_CLOSE, NULL, 0);
    put_frame("server_close_frame", &e->server_sends, &e->edge_opens, KIND_CLOSE, NULL, 0);
}

/* The content of PATH as text; freed by the caller. */
static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t size = 1 << 20;
    char *text = malloc(size);
    assert_non_null(file);
    assert_non_null(text);
    size_t length = fread(text, 1, size - 1, file);
    assert_true(length < size - 1);
    text[length] = 0;
    fclose(file);
    return text;
}

static void the_example_is_what_the_code_computes(void **state)
{
    (void)state;
    char *expected = read_text("tests/vectors/protocol-example.txt");
    shake_hands();
    exchange_hellos();
    exchange_batches();
    end_the_channel();
    assert_int_equal(buffer_put(&example.text, "", 1), 0);
    assert_string_equal((const char *)buffer_bytes(&example.text), expected);
    buffer_clear(&example.text);
    free(expected);
}

static void the_document_holds_the_example_word_for_word(void **state)
{
    (void)state;
    char *expected = read_text("tests/vectors/protocol-example.txt");
    char *document = read_text("proto/PROTOCOL.md");
    assert_non_null(strstr(document, expected));
    free(document);
    free(expected);
}

static int start(void **state)
{
    (void)state;
    return secret_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_what_the_code_computes),
        cmocka_unit_test(the_document_holds_the_example_word_for_word),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
