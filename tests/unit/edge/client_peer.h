/* Key servers for the client's tests, with good and bad habits: real channels on loopback, in the test's own
 * loop and thread. */
#ifndef TESTS_UNIT_EDGE_CLIENT_PEER_H
#define TESTS_UNIT_EDGE_CLIENT_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "common/channel.h"
#include "common/secret.h"
#include "proto/msg.h"

#define UNUSED        __attribute__((unused))
#define PEER_CHANNELS 32
#define PEER_HELD     8192
#define MS            1000000u

/* What a key server does with requests. */
enum habit { ANSWERS, HOLDS, TWICE, WRONG_ID, WRONG_LENGTH, GARBAGE, SAYS_STATUS, CLOSES, CUTS };

struct held {
    struct channel *channel;
    struct msg_request request;
    uint8_t head[TLS_MASTER_SIZE]; /* what is needed of the messages of rsa_master */
};

struct peer {
    uv_loop_t *loop;
    struct identity identity;
    uint8_t psk[IDENTITY_KEY_SIZE];
    uint8_t known[IDENTITY_KEY_SIZE]; /* the edge it lets in */
    struct address address;
    struct channel_listener *listener;
    struct channel *channels[PEER_CHANNELS];
    size_t channel_count, accepted;
    enum habit habit;
    enum operation_status status; /* for SAYS_STATUS */
    struct msg_hello hello;
    bool silent;       /* says no hello */
    struct held *held; /* requests not answered yet */
    size_t held_count, held_top;
    size_t requests, messages; /* ever received */
    size_t batch_top;          /* most requests in one message */
    const struct key_info *keys;
    size_t key_count;
    int closed; /* why the last channel closed */
};

void peer_send(struct channel *channel, const struct msg_answer *answers, size_t count);
void peer_announce_on(struct channel *channel, const struct msg_epoch *epoch);
void peer_announce(struct peer *peer, const struct msg_epoch *epoch);
/* Ends the TCP connection of CHANNEL without a close message, as a crash would. */
void peer_cut(const struct channel *channel);
/* Answers what was held, the last one first. */
void peer_release(struct peer *peer);
void peer_start(struct peer *peer);
/* Stops accepting and leaves every channel, by CUT or in good order. */
void peer_stop(struct peer *peer, bool cut);

#endif
