#include <stdlib.h>
#include <string.h>

#include "common/channel_internal.h"
#include "common/secret.h"

#define LABEL_SIZE    (sizeof CHANNEL_PROLOGUE_LABEL - 1)
#define PROLOGUE_SIZE (LABEL_SIZE + NOISE_KEY_SIZE)

static void make_prologue(uint8_t out[static PROLOGUE_SIZE], const uint8_t server_key[static NOISE_KEY_SIZE])
{
    memcpy(out, CHANNEL_PROLOGUE_LABEL, LABEL_SIZE);
    memcpy(out + LABEL_SIZE, server_key, NOISE_KEY_SIZE);
}

void channel_handshake_start(struct channel *c, const struct identity *self)
{
    uint8_t prologue[PROLOGUE_SIZE];
    if (c->listener != NULL) {
        make_prologue(prologue, self->public);
        noise_responder_init(&c->opening->noise, prologue, sizeof prologue, self);
    } else {
        make_prologue(prologue, c->peer);
        noise_initiator_init(&c->opening->noise, prologue, sizeof prologue, self, c->peer);
    }
    channel_arm(c);
}

void channel_handshake_clear(struct channel *c)
{
    if (c->opening == NULL)
        return;
    wipe(c->opening, sizeof *c->opening);
    free(c->opening);
    c->opening = NULL;
}

/* Handshake messages are sent without a frame. */
static int send_raw(struct channel *c, const uint8_t *message, size_t length)
{
    int err = buffer_put(&c->out, message, length);
    if (err == 0)
        channel_io_flush_later(c);
    return err;
}

void channel_handshake_send(struct channel *c)
{
    uint8_t message[NOISE_MESSAGE1_SIZE];
    int err = noise_write_message1(&c->opening->noise, NULL, 0, message);
    if (err == 0)
        err = send_raw(c, message, sizeof message);
    if (err != 0)
        channel_end(c, err);
}

/* Split (Noise, section 5.2): after both messages only the two transport ciphers are left. */
static void make_keys(struct channel *c)
{
    struct noise_handshake *noise = &c->opening->noise;
    bool accepting = c->listener != NULL;
    noise_split(noise, accepting ? &c->receiving : &c->sending, accepting ? &c->sending : &c->receiving);
    memcpy(c->hash, noise->hash, sizeof c->hash);
    channel_handshake_clear(c);
    c->rekeyed_ms = c->received_ms = uv_now(channel_loop(c));
}

/* Accepting side: message 1 is complete. It is answered only when it decrypts and the owner knows the
 * peer. */
static int answer(struct channel *c)
{
    struct noise_handshake *noise = &c->opening->noise;
    uint8_t message[NOISE_MESSAGE2_SIZE], psk[NOISE_KEY_SIZE];
    int err = noise_read_message1(noise, c->opening->input, NOISE_MESSAGE1_SIZE, NULL);
    if (err != 0)
        return err;
    memcpy(c->peer, noise->peer, sizeof c->peer);
    c->has_peer = true;
    err = channel_listener_lookup(c, psk);
    if (err == 0)
        err = noise_write_message2(noise, psk, NULL, 0, message);
    wipe(psk, sizeof psk);
    if (err == 0)
        err = send_raw(c, message, sizeof message);
    if (err != 0)
        return err;
    make_keys(c);
    c->state = CHANNEL_WAIT_FIRST;
    return 0;
}

/* Connecting side: message 2 is complete. */
static int finish_handshake(struct channel *c)
{
    struct channel_opening *opening = c->opening;
    int err = noise_read_message2(&opening->noise, opening->psk, opening->input, NOISE_MESSAGE2_SIZE, NULL);
    if (err != 0)
        return err;
    make_keys(c);
    c->state = CHANNEL_OPEN;
    channel_arm(c);
    c->handlers.on_open(c, c->user);
    /* behind what the owner sent in on_open: measures the round trip from the start */
    if (c->state == CHANNEL_OPEN && c->settings.ping_interval_ms != 0)
        channel_transport_ping(c);
    return 0;
}

size_t channel_handshake_receive(struct channel *c, const uint8_t *bytes, size_t length)
{
    struct channel_opening *opening = c->opening;
    bool accepting = c->listener != NULL;
    size_t whole = accepting ? NOISE_MESSAGE1_SIZE : NOISE_MESSAGE2_SIZE;
    size_t missing = whole - opening->input_length;
    size_t used = length < missing ? length : missing;
    memcpy(opening->input + opening->input_length, bytes, used);
    opening->input_length += used;
    if (opening->input_length < whole)
        return used;
    /* An edge sends nothing more before message 2: a peer that does is dropped before any curve operation. */
    int err = accepting && used < length ? ERR_FORMAT : accepting ? answer(c) : finish_handshake(c);
    if (err != 0)
        channel_end(c, err);
    return used;
}
