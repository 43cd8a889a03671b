#include "tests/unit/edge/client_peer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

void peer_send(struct channel *channel, const struct msg_answer *answers, size_t count)
{
    struct buffer packed = {0};

    for (size_t done = 0; done < count; done += MSG_BATCH_MAX) {
        size_t part = count - done < MSG_BATCH_MAX ? count - done : MSG_BATCH_MAX;
        assert_int_equal(msg_pack_answers(&packed, answers + done, part), 0);
        assert_int_equal(channel_send(channel, buffer_bytes(&packed), buffer_length(&packed)), 0);
        buffer_consume(&packed, buffer_length(&packed));
    }
    buffer_clear(&packed);
}

/* The answer that only this request may get: a signature repeats the hash, a pre-master the ciphertext, a
 * master secret the messages. */
static void peer_answer(const struct peer *peer, const struct msg_request *request, struct msg_answer *answer)
{
    const struct operation *operation = &request->operation;

    memset(answer, 0, sizeof *answer);
    answer->id = request->id;
    if (operation->kind == OP_SIGN_TLS13) {
        answer->outcome.length = operation->u.sign_tls13.hash_length;
        memcpy(answer->outcome.bytes, operation->u.sign_tls13.hash, answer->outcome.length);
    } else if (operation->kind == OP_RSA_PREMASTER) {
        answer->outcome.length = TLS_PREMASTER_SIZE;
        memcpy(answer->outcome.bytes, operation->u.rsa_premaster.ciphertext, TLS_PREMASTER_SIZE);
    } else if (operation->kind == OP_RSA_MASTER) {
        answer->outcome.length = TLS_MASTER_SIZE;
        memcpy(answer->outcome.bytes, operation->u.rsa_master.messages, TLS_MASTER_SIZE);
    } else if (operation->kind == OP_KEYS && peer->key_count > 0) {
        answer->keys = calloc(peer->key_count, sizeof *answer->keys);
        memcpy(answer->keys, peer->keys, peer->key_count * sizeof *answer->keys);
        answer->key_count = peer->key_count;
    }
}

void peer_announce_on(struct channel *channel, const struct msg_epoch *epoch)
{
    struct buffer packed = {0};

    assert_int_equal(msg_pack_epoch(&packed, epoch), 0);
    assert_int_equal(channel_send(channel, buffer_bytes(&packed), buffer_length(&packed)), 0);
    buffer_clear(&packed);
}

void peer_announce(struct peer *peer, const struct msg_epoch *epoch)
{
    for (size_t i = 0; i < peer->channel_count; i++)
        peer_announce_on(peer->channels[i], epoch);
}

void peer_cut(const struct channel *channel)
{
    const struct address *far = channel_address(channel);

    for (int fd = 3; fd < 1024; fd++) {
        struct address at = {.length = sizeof at.u};
        if (getpeername(fd, &at.u.any, &at.length) == 0 && at.u.any.sa_family == AF_INET &&
            at.u.v4.sin_port == far->u.v4.sin_port && shutdown(fd, SHUT_RDWR) == 0)
            return;
    }
    fail_msg("no descriptor of this channel");
}

static void peer_spoil(struct peer *peer, struct channel *channel, struct msg_answer *answer)
{
    switch (peer->habit) {
    case WRONG_ID:
        answer->id += 1u << 20;
        break;
    case WRONG_LENGTH:
        answer->outcome.length = answer->outcome.length == TLS_PREMASTER_SIZE ? TLS_PREMASTER_SIZE - 1 : 0;
        break;
    case SAYS_STATUS:
        memset(&answer->outcome, 0, sizeof answer->outcome);
        answer->outcome.status = peer->status;
        break;
    case TWICE:
        peer_send(channel, answer, 1);
        break;
    default:
        break;
    }
}

static void peer_keep(struct peer *peer, struct channel *channel, const struct msg *msg)
{
    assert_true(peer->held_count + msg->count <= PEER_HELD);
    for (size_t i = 0; i < msg->count; i++) {
        struct held *held = &peer->held[peer->held_count++];
        struct operation *operation = &held->request.operation;
        *held = (struct held){.channel = channel, .request = msg->requests[i]};
        if (operation->kind == OP_RSA_MASTER) {
            memcpy(held->head, operation->u.rsa_master.messages, sizeof held->head);
            operation->u.rsa_master.messages = held->head;
        }
    }
    if (peer->held_count > peer->held_top)
        peer->held_top = peer->held_count;
}

static void peer_on_requests(struct peer *peer, struct channel *channel, const struct msg *msg)
{
    peer->requests += msg->count;
    peer->messages++;
    peer->batch_top = msg->count > peer->batch_top ? msg->count : peer->batch_top;
    if (peer->habit == HOLDS) {
        peer_keep(peer, channel, msg);
        return;
    }
    if (peer->habit == GARBAGE)
        assert_int_equal(channel_send(channel, "\xff\xff\xff no protobuf", 15), 0);
    else if (peer->habit == CLOSES)
        channel_close(channel);
    else if (peer->habit == CUTS)
        peer_cut(channel);
    else
        for (size_t i = 0; i < msg->count; i++) {
            struct msg_answer answer;
            peer_answer(peer, &msg->requests[i], &answer);
            peer_spoil(peer, channel, &answer);
            peer_send(channel, &answer, 1);
            free(answer.keys);
        }
}

void peer_release(struct peer *peer)
{
    while (peer->held_count > 0) {
        struct held *held = &peer->held[--peer->held_count];
        struct msg_answer answer;
        if (held->channel == NULL)
            continue;
        peer_answer(peer, &held->request, &answer);
        peer_send(held->channel, &answer, 1);
        free(answer.keys);
    }
}

static void peer_on_message(struct channel *channel, const uint8_t *bytes, size_t length, void *user)
{
    struct peer *peer = user;
    struct msg *msg = NULL;
    struct buffer packed = {0};

    assert_int_equal(msg_parse(&msg, bytes, length), 0);
    if (msg->kind == MSG_REQUESTS) {
        peer_on_requests(peer, channel, msg);
    } else if (!peer->silent) {
        assert_int_equal(msg->kind, MSG_HELLO);
        assert_int_equal(msg_pack_hello(&packed, &peer->hello), 0);
        assert_int_equal(channel_send(channel, buffer_bytes(&packed), buffer_length(&packed)), 0);
    }
    buffer_clear(&packed);
    msg_free(msg);
}

static void peer_on_open(struct channel *channel, void *user)
{
    struct peer *peer = user;

    assert_true(peer->channel_count < PEER_CHANNELS);
    peer->channels[peer->channel_count++] = channel;
    peer->accepted++;
}

static void peer_on_close(struct channel *channel, int why, void *user)
{
    struct peer *peer = user;

    peer->closed = why;
    for (size_t i = 0; i < peer->channel_count; i++)
        if (peer->channels[i] == channel)
            peer->channels[i--] = peer->channels[--peer->channel_count];
    for (size_t i = 0; i < peer->held_count; i++)
        if (peer->held[i].channel == channel)
            peer->held[i].channel = NULL;
}

static int peer_on_lookup(const uint8_t key[static NOISE_KEY_SIZE], const struct address *from,
                          struct channel_verdict *verdict, void *user)
{
    struct peer *peer = user;

    (void)from;
    memcpy(verdict->psk, peer->psk, sizeof verdict->psk);
    verdict->user = peer;
    return same_bytes(key, peer->known, NOISE_KEY_SIZE) ? 0 : ERR_NOT_FOUND;
}

static void peer_on_drop(enum channel_drop why, const uint8_t *key, const struct address *from, void *user)
{
    (void)why, (void)key, (void)from, (void)user;
}

void peer_start(struct peer *peer)
{
    struct channel_listener_settings settings;
    struct channel_listener_handlers handlers = {
        .on_lookup = peer_on_lookup,
        .on_drop = peer_on_drop,
        .channel = {.on_open = peer_on_open, .on_message = peer_on_message, .on_close = peer_on_close}};
    struct fault fault;

    channel_listener_settings_default(&settings);
    settings.handshakes_per_second = 0;
    settings.channel.unsent_max = 16u << 20;
    int fd = address_listen(&peer->address, false, 128, &fault);
    /* A peer that comes back wants the port that it had, which another program may have got meanwhile. */
    for (int tries = 0; fd < 0 && tries < 1000; tries++) {
        usleep(10000);
        fd = address_listen(&peer->address, false, 128, &fault);
    }
    assert_true(fd >= 0);
    assert_int_equal(address_of_socket(fd, &peer->address), 0);
    assert_int_equal(
        channel_listener_start(&peer->listener, peer->loop, fd, &peer->identity, &settings, &handlers, peer),
        0);
}

void peer_stop(struct peer *peer, bool cut)
{
    channel_listener_close(peer->listener);
    peer->listener = NULL;
    for (size_t i = 0; i < peer->channel_count; i++) {
        if (cut)
            peer_cut(peer->channels[i]);
        else
            channel_close(peer->channels[i]);
    }
}
