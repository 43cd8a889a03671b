#include "tests/unit/common/channel_peer.h"

#include <errno.h>
#include <sys/socket.h>

int peer_connect(const struct address *to)
{
    int fd = socket(to->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &to->u.any, to->length), 0);
    return fd;
}

void peer_send(int fd, const void *bytes, size_t length)
{
    assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
}

bool peer_ended(int fd, struct fate *fate)
{
    uint8_t waste[4096];
    ssize_t got;
    while ((got = recv(fd, waste, sizeof waste, MSG_DONTWAIT)) > 0)
        fate->bytes += (size_t)got;
    if (got < 0 && errno == EAGAIN)
        return false;
    fate->number = got < 0 ? errno : 0;
    return true;
}

struct fate peer_fate(struct pair *p, int fd)
{
    struct fate fate = {.bytes = 0};
    SPIN_UNTIL(p, (void)0, peer_ended(fd, &fate));
    close(fd);
    return fate;
}

void peer_read(struct pair *p, int fd, uint8_t *out, size_t length)
{
    size_t have = 0;
    while (have < length) {
        assert_false(p->expired);
        uv_run(&p->loop, UV_RUN_NOWAIT);
        ssize_t got = recv(fd, out + have, length - have, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            continue;
        assert_true(got > 0);
        have += (size_t)got;
    }
}

static void peer_prologue(const struct pair *p, uint8_t out[static 49])
{
    assert_int_equal(sizeof CHANNEL_PROLOGUE_LABEL - 1, 17);
    memcpy(out, CHANNEL_PROLOGUE_LABEL, 17);
    memcpy(out + 17, p->server_id.public, NOISE_KEY_SIZE);
}

void peer_message1(const struct pair *p, const struct identity *self, struct noise_handshake *h,
                   uint8_t out[static NOISE_MESSAGE1_SIZE])
{
    uint8_t prologue[49];
    peer_prologue(p, prologue);
    noise_initiator_init(h, prologue, sizeof prologue, self, p->server_id.public);
    assert_int_equal(noise_write_message1(h, NULL, 0, out), 0);
}

void peer_shake_hands(struct pair *p, struct peer *peer)
{
    struct noise_handshake h;
    uint8_t one[NOISE_MESSAGE1_SIZE], two[NOISE_MESSAGE2_SIZE];
    peer->fd = peer_connect(&p->address);
    peer_message1(p, &p->edge_id, &h, one);
    peer_send(peer->fd, one, sizeof one);
    peer_read(p, peer->fd, two, sizeof two);
    assert_int_equal(noise_read_message2(&h, p->psk, two, sizeof two, NULL), 0);
    noise_split(&h, &peer->sending, &peer->receiving);
}

size_t peer_seal(struct peer *peer, uint8_t kind, const void *body, size_t length, uint8_t *out)
{
    frame_header(out, 1 + length + NOISE_TAG_SIZE);
    out[2] = kind;
    if (length > 0)
        memcpy(out + 3, body, length);
    assert_int_equal(noise_seal(&peer->sending, out + 2, 1 + length, out + 2), 0);
    return FRAME_HEADER_SIZE + 1 + length + NOISE_TAG_SIZE;
}

void peer_say(struct peer *peer, uint8_t kind, const void *body, size_t length)
{
    uint8_t frame[256];
    assert_true(length < 200);
    peer_send(peer->fd, frame, peer_seal(peer, kind, body, length, frame));
}

size_t peer_hear(struct pair *p, struct peer *peer, uint8_t *out, size_t size)
{
    uint8_t frame[256];
    peer_read(p, peer->fd, frame, FRAME_HEADER_SIZE);
    size_t length = (size_t)frame[0] << 8 | frame[1];
    assert_true(length <= sizeof frame && length - NOISE_TAG_SIZE <= size);
    peer_read(p, peer->fd, frame, length);
    assert_int_equal(noise_open(&peer->receiving, frame, length, out), 0);
    return length - NOISE_TAG_SIZE;
}
