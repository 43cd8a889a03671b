/* An edge for the integration tests that floods a key server with small frames, over many channels at once.
 *
 *     peer_frames PORT SERVER_KEY IDENTITY_FILE PSK_FILE CHANNELS KIND
 *
 * KIND is rekey, ping or pong, a frame without data, or request: a frame with a batch of operations that need
 * no key (ping). Opens CHANNELS on 127.0.0.1, prepares what each will send, says "flooding" and sends it,
 * reading what comes. Ends when the key server has closed every channel, since it has read all or before;
 * 2: there was no connection, or no handshake. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/frame.h"
#include "common/secret.h"
#include "proto/msg.h"

#define CHANNELS_MAX 256
#define FLOOD_SIZE   (32u << 20) /* bytes of all channels together: seconds of work */
#define PLAIN_MAX    2048        /* bytes of a frame's kind and body */

#define PING_SIZE    8 /* bytes of a ping's or pong's body */

enum { DATA, REKEY, CLOSE, PING, PONG }; /* kinds of frames (PROTOCOL.md, section 4) */

static struct peer {
    int fd; /* -1 once closed */
    struct noise_cipher sending, receiving;
    struct buffer flood;
} peers[CHANNELS_MAX];
static size_t peer_count;

/* What a flood is made of. */
static uint8_t plain[PLAIN_MAX];
static size_t plain_length;

static _Noreturn void die(const char *text)
{
    fprintf(stderr, "peer_frames: %s\n", text);
    exit(2);
}

static void put_frame(struct peer *peer, const uint8_t *bytes, size_t length)
{
    uint8_t *room = buffer_reserve(&peer->flood, FRAME_HEADER_SIZE + length + NOISE_TAG_SIZE);

    if (room == NULL)
        die("no memory");
    frame_header(room, length + NOISE_TAG_SIZE);
    if (noise_seal(&peer->sending, bytes, length, room + FRAME_HEADER_SIZE) != 0)
        die("cannot seal");
    buffer_commit(&peer->flood, FRAME_HEADER_SIZE + length + NOISE_TAG_SIZE);
    if (bytes[0] == REKEY)
        noise_rekey(&peer->sending);
}

/* The frame's plaintext with the message PACKED, which this frees, or which there is none of when R says so.
 * Returns its length. */
static size_t put_message(uint8_t out[static PLAIN_MAX], struct buffer *packed, int r)
{
    size_t length = buffer_length(packed);

    if (r != 0 || length >= PLAIN_MAX)
        die("no message");
    out[0] = DATA;
    memcpy(out + 1, buffer_bytes(packed), length);
    buffer_clear(packed);
    return 1 + length;
}

static void choose(const char *kind)
{
    static const char *const names[] = {
        [DATA] = "request", [REKEY] = "rekey", [PING] = "ping", [PONG] = "pong"};
    static struct msg_request requests[MSG_BATCH_MAX];
    struct buffer packed = {0};

    for (size_t i = 0; i < MSG_BATCH_MAX; i++)
        requests[i] = (struct msg_request){.id = i, .deadline_ms = 1000, .operation.kind = OP_PING};
    for (size_t i = DATA; i <= PONG; i++) {
        if (names[i] == NULL || strcmp(kind, names[i]) != 0)
            continue;
        plain[0] = (uint8_t)i;
        if (i == DATA)
            plain_length = put_message(plain, &packed, msg_pack_requests(&packed, requests, MSG_BATCH_MAX));
        else
            plain_length = i == REKEY ? 1 : 1 + PING_SIZE;
        return;
    }
    die("no such kind");
}

static void read_all(int fd, uint8_t *out, size_t length)
{
    for (size_t have = 0; have < length;) {
        ssize_t n = read(fd, out + have, length - have);
        if (n <= 0)
            die("no handshake");
        have += (size_t)n;
    }
}

static void connect_peer(struct peer *peer, const struct sockaddr_in *to, const struct identity *self,
                         const uint8_t server_key[static 32], const uint8_t psk[static 32])
{
    static const size_t label = sizeof CHANNEL_PROLOGUE_LABEL - 1;
    uint8_t prologue[sizeof CHANNEL_PROLOGUE_LABEL - 1 + NOISE_KEY_SIZE], one[NOISE_MESSAGE1_SIZE],
        two[NOISE_MESSAGE2_SIZE];
    struct noise_handshake handshake;

    memcpy(prologue, CHANNEL_PROLOGUE_LABEL, label);
    memcpy(prologue + label, server_key, NOISE_KEY_SIZE);
    noise_initiator_init(&handshake, prologue, sizeof prologue, self, server_key);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd < 0 || connect(peer->fd, (const struct sockaddr *)to, sizeof *to) != 0 ||
        noise_write_message1(&handshake, NULL, 0, one) != 0 ||
        write(peer->fd, one, sizeof one) != (ssize_t)sizeof one)
        die("no connection");
    read_all(peer->fd, two, sizeof two);
    if (noise_read_message2(&handshake, psk, two, sizeof two, NULL) != 0)
        die("no handshake");
    noise_split(&handshake, &peer->sending, &peer->receiving);
}

/* Its hello leaves now: a channel that says nothing is ended in time. */
static void greet(struct peer *peer)
{
    const struct msg_hello hello = {.version_min = 1, .version_max = 1, .software = "peer_frames"};
    uint8_t bytes[PLAIN_MAX];
    struct buffer packed = {0};

    put_frame(peer, bytes, put_message(bytes, &packed, msg_pack_hello(&packed, &hello)));
    size_t length = buffer_length(&peer->flood);
    if (write(peer->fd, buffer_bytes(&peer->flood), length) != (ssize_t)length)
        die("no connection");
    buffer_consume(&peer->flood, length);
}

static void turn(struct peer *peer, short events)
{
    static uint8_t waste[65536];

    if ((events & POLLOUT) != 0) {
        ssize_t n = send(peer->fd, buffer_bytes(&peer->flood), buffer_length(&peer->flood), MSG_NOSIGNAL);
        if (n > 0)
            buffer_consume(&peer->flood, (size_t)n);
        if (n > 0 && buffer_length(&peer->flood) == 0)
            shutdown(peer->fd, SHUT_WR);
    }
    bool closed = (events & (POLLERR | POLLHUP)) != 0;
    if ((events & POLLIN) != 0)
        closed = read(peer->fd, waste, sizeof waste) == 0 || closed;
    if (closed) {
        close(peer->fd);
        peer->fd = -1;
    }
}

/* False when nobody is left. */
static bool flood(void)
{
    struct pollfd fds[CHANNELS_MAX];
    bool any = false;

    for (size_t i = 0; i < peer_count; i++) {
        fds[i] = (struct pollfd){.fd = peers[i].fd,
                                 .events = buffer_length(&peers[i].flood) > 0 ? POLLIN | POLLOUT : POLLIN};
        any = any || peers[i].fd >= 0;
    }
    if (!any || poll(fds, peer_count, -1) < 0)
        return false;
    for (size_t i = 0; i < peer_count; i++)
        if (fds[i].fd >= 0 && fds[i].revents != 0)
            turn(&peers[i], fds[i].revents);
    return true;
}

int main(int argc, char *argv[])
{
    struct fault fault = {.text = "usage: peer_frames PORT SERVER_KEY IDENTITY_FILE PSK_FILE CHANNELS KIND"};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct identity *self = NULL;
    uint8_t server_key[32], psk[32];

    if (argc != 7 || secret_init() != 0 || base64_decode(server_key, sizeof server_key, argv[2]) != 0 ||
        identity_load(&self, argv[3], &fault) != 0 || identity_load_secret(psk, argv[4], &fault) != 0)
        die(fault.text);
    to.sin_port = htons((uint16_t)atoi(argv[1]));
    choose(argv[6]);
    for (; peer_count < (size_t)atoi(argv[5]) && peer_count < CHANNELS_MAX; peer_count++) {
        connect_peer(&peers[peer_count], &to, self, server_key, psk);
        greet(&peers[peer_count]);
    }
    for (size_t i = 0; i < peer_count; i++) {
        while (buffer_length(&peers[i].flood) < FLOOD_SIZE / peer_count)
            put_frame(&peers[i], plain, plain_length);
        fcntl(peers[i].fd, F_SETFL, O_NONBLOCK);
    }
    puts("flooding");
    fflush(stdout);
    while (flood())
        ;
    secret_free(self);
    return 0;
}
