/* A peer that has authenticated sends anything at all into an open channel: it ends with one on_close and
 * keeps its bounds. No socket: what it answers is sealed and kept. */
#include <stdlib.h>
#include <string.h>

#include "common/channel_internal.h"
#include "common/secret.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct seen {
    unsigned closed;
    bool said_close; /* the owner has closed it */
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return secret_init();
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* An owner that echoes, and closes when it is told so. */
static void on_message(struct channel *channel, const uint8_t *bytes, size_t length, void *user)
{
    struct seen *seen = user;
    must(!seen->said_close && seen->closed == 0);
    int err = channel_send(channel, bytes, length);
    must(err == 0 || err == ERR_BUSY);
    seen->said_close = length > 0 && bytes[0] == 'q';
    if (seen->said_close)
        channel_close(channel);
}

static void on_close(struct channel *channel, int why, void *user)
{
    struct seen *seen = user;
    (void)channel;
    must(why < 0);
    seen->closed++;
}

static const struct channel_handlers handlers = {.on_message = on_message, .on_close = on_close};

/* Hands one transport message to the channel: sealed with the right key when SEALED, else as it is. */
static void say(struct channel *c, struct noise_cipher *peer, const uint8_t *text, size_t length, bool sealed)
{
    uint8_t frame[FRAME_HEADER_SIZE + 255 + NOISE_TAG_SIZE];
    size_t whole = length;
    memcpy(frame + FRAME_HEADER_SIZE, text, length);
    if (sealed) {
        must(noise_seal(peer, frame + FRAME_HEADER_SIZE, length, frame + FRAME_HEADER_SIZE) == 0);
        whole += NOISE_TAG_SIZE;
    }
    frame_header(frame, whole);
    int err = frame_reader_feed(&c->frames, frame, FRAME_HEADER_SIZE + whole, CHANNEL_FRAME_MIN,
                                channel_transport_receive, c);
    if (sealed && length == 1 && text[0] == CHANNEL_REKEY)
        noise_rekey(peer);
    if (err != 0 && c->state == CHANNEL_OPEN)
        channel_end(c, err);
    must(channel_unsent(c) <= c->settings.unsent_max + 2 * sizeof frame);
}

/* The input: a length byte and so many bytes, again and again. Length 255 makes an unsealed message. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    const struct address nowhere = {.u.any.sa_family = AF_INET};
    const uint8_t *at = bytes, *end = bytes + length;
    struct channel_settings settings;
    struct noise_cipher peer = {.counter = 0};
    struct seen seen = {.closed = 0};
    uv_loop_t loop;
    must(uv_loop_init(&loop) == 0);
    channel_settings_default(&settings);
    settings.unsent_max = 1000;
    settings.rekey_messages = 3;
    struct channel *c = channel_new(&loop, &nowhere, &settings, &handlers, &seen);
    must(c != NULL);
    c->state = CHANNEL_OPEN;
    while (end - at > 1 && c->state == CHANNEL_OPEN) {
        bool sealed = *at != 255;
        size_t size = *at++;
        if (size > (size_t)(end - at))
            size = (size_t)(end - at);
        say(c, &peer, at, size, sealed);
        at += size;
    }
    if (c->state == CHANNEL_OPEN || c->state == CHANNEL_FINISHING)
        channel_end(c, ERR_CUT);
    must(seen.closed == 0);
    must(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    must(seen.closed == 1);
    must(uv_loop_close(&loop) == 0);
    return 0;
}
