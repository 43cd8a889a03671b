/* A peer played by hand on a plain socket, for what an honest channel never does. */
#ifndef TESTS_UNIT_COMMON_CHANNEL_PEER_H
#define TESTS_UNIT_COMMON_CHANNEL_PEER_H

#include "common/frame.h"
#include "tests/unit/common/channel_pair.h"

/* Runs the loop without sleeping until CONDITION holds; STEP is done in between. */
#define SPIN_UNTIL(p, step, condition)                                                                       \
    do {                                                                                                     \
        while (!(condition)) {                                                                               \
            assert_false((p)->expired);                                                                      \
            uv_run(&(p)->loop, UV_RUN_NOWAIT);                                                               \
            step;                                                                                            \
        }                                                                                                    \
    } while (0)

int peer_connect(const struct address *to);
void peer_send(int fd, const void *bytes, size_t length);

/* How a connection ended, as its peer sees it. */
struct fate {
    size_t bytes; /* that came before the end */
    int number;   /* 0: an orderly end; else errno (ECONNRESET) */
};

/* Takes in what has come; true at the end of the connection. */
bool peer_ended(int fd, struct fate *fate);
/* Waits for the end of FD and closes it. */
struct fate peer_fate(struct pair *p, int fd);
/* Reads exactly LENGTH bytes. */
void peer_read(struct pair *p, int fd, uint8_t *out, size_t length);

/* An edge by hand: a real handshake, then whatever frames the test likes. */
struct peer {
    int fd;
    struct noise_cipher sending, receiving;
};

void peer_message1(const struct pair *p, const struct identity *self, struct noise_handshake *h,
                   uint8_t out[static NOISE_MESSAGE1_SIZE]);
void peer_shake_hands(struct pair *p, struct peer *peer);
/* Seals KIND and BODY and puts the frame into OUT; returns its length. */
size_t peer_seal(struct peer *peer, uint8_t kind, const void *body, size_t length, uint8_t *out);
void peer_say(struct peer *peer, uint8_t kind, const void *body, size_t length);
/* Opens the next frame of at most SIZE plaintext bytes; returns their number, the kind included. */
size_t peer_hear(struct pair *p, struct peer *peer, uint8_t *out, size_t size);

#endif
