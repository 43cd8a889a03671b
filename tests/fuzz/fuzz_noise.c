/* A handshake or transport message opens when it is exactly what the other side wrote, and never otherwise.
 */
#include <stdlib.h>
#include <string.h>

#include "common/noise.h"
#include "common/secret.h"

#define TEXT_SIZE 20

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct identity edge = {.secret = {1}}, server = {.secret = {2}};
static const uint8_t psk[NOISE_KEY_SIZE] = {3};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    int err = secret_init();
    identity_derive(&edge);
    identity_derive(&server);
    return err;
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

struct input {
    const uint8_t *at, *end;
};

/* Changes MESSAGE as the input says: how many changes, then a place and a mask each. True when it differs. */
static bool change(struct input *in, uint8_t *message, size_t length)
{
    uint8_t before[128];
    must(length <= sizeof before);
    memcpy(before, message, length);
    size_t count = in->at < in->end ? *in->at++ % 8 : 0;
    for (; count > 0 && in->end - in->at >= 2; count--, in->at += 2)
        message[in->at[0] % length] ^= in->at[1];
    return memcmp(before, message, length) != 0;
}

static bool transport(struct input *in, struct noise_cipher *sending, struct noise_cipher *receiving)
{
    uint8_t text[TEXT_SIZE] = "twenty bytes of text", sealed[TEXT_SIZE + NOISE_TAG_SIZE];
    uint64_t counter = receiving->counter;
    must(noise_seal(sending, text, sizeof text, sealed) == 0);
    bool changed = change(in, sealed, sizeof sealed);
    int err = noise_open(receiving, sealed, sizeof sealed, sealed);
    must((err == 0) == !changed);
    must(receiving->counter == counter + (err == 0 ? 1 : 0));
    must(err != 0 || memcmp(sealed, text, sizeof text) == 0);
    return err == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct noise_handshake i, r;
    struct noise_cipher to_responder[2], to_initiator[2];
    uint8_t one[NOISE_MESSAGE1_SIZE], two[NOISE_MESSAGE2_SIZE];
    struct input in = {.at = bytes, .end = bytes + length};
    noise_initiator_init(&i, NULL, 0, &edge, server.public);
    noise_responder_init(&r, NULL, 0, &server);
    i.ephemeral.secret[0] = 4;
    r.ephemeral.secret[0] = 5;
    must(noise_write_message1(&i, NULL, 0, one) == 0);
    bool changed = change(&in, one, sizeof one);
    int err = noise_read_message1(&r, one, sizeof one, NULL);
    must((err == 0) == !changed);
    if (err != 0)
        return 0;
    must(noise_write_message2(&r, psk, NULL, 0, two) == 0);
    changed = change(&in, two, sizeof two);
    err = noise_read_message2(&i, psk, two, sizeof two, NULL);
    must((err == 0) == !changed);
    if (err != 0)
        return 0;
    noise_split(&i, &to_responder[0], &to_initiator[0]);
    noise_split(&r, &to_responder[1], &to_initiator[1]);
    while (in.at < in.end && transport(&in, &to_responder[0], &to_responder[1]))
        if (*bytes & 1) {
            noise_rekey(&to_responder[0]);
            noise_rekey(&to_responder[1]);
        }
    return 0;
}
