/* A hostile key server for the integration tests: stands between an edge and an honest key server and spoils
 * the answers.
 *
 *     peer_hostile IDENTITY PSK_FILE UPSTREAM UPSTREAM_KEY EDGE_IDENTITY LATE_MS
 *
 * Accepts any edge with the pre-shared key, forwards its requests under EDGE_IDENTITY, and treats the answers
 * as the last line on standard input says: "MODE" (see `modes`) for all of them from now on, "MODE COUNT" for
 * the next COUNT, the rest being passed on as they are. Ends when standard input does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "common/channel.h"
#include "common/log.h"
#include "common/secret.h"
#include "proto/msg.h"

struct link {
    struct channel *edge;     /* accepted; NULL once closed */
    struct channel *upstream; /* connected; NULL once closed */
    struct buffer waiting;    /* packed requests until the upstream is open; each with a 4-byte length */
    bool upstream_open;
    struct link *next; /* in `links` */
};

struct late {
    uv_timer_t timer;
    struct link *link;
    struct buffer packed;
};

typedef void (*spoiler)(struct link *link, struct msg *answers);

static struct link *links; /* all there were */
static struct identity *self, *edge_identity;
static uint8_t psk[32], upstream_key[32];
static struct address upstream_address;
static spoiler spoil;
static size_t spoil_left; /* answers that `spoil` may still have */
static uint64_t late_ms;

static void send_to(struct channel *channel, const struct buffer *packed)
{
    if (channel != NULL && channel_send(channel, buffer_bytes(packed), buffer_length(packed)) != 0)
        fputs("peer_hostile: a message could not be sent\n", stderr);
}

static void send_answers(struct link *link, const struct msg_answer *answers, size_t count)
{
    struct buffer packed = {0};
    if (msg_pack_answers(&packed, answers, count) == 0)
        send_to(link->edge, &packed);
    buffer_clear(&packed);
}

static void honest(struct link *link, struct msg *msg)
{
    send_answers(link, msg->answers, msg->count);
}

static void never(struct link *link, struct msg *msg)
{
    (void)link;
    (void)msg;
}

static void twice(struct link *link, struct msg *msg)
{
    honest(link, msg);
    honest(link, msg);
}

static void wrong_id(struct link *link, struct msg *msg)
{
    for (size_t i = 0; i < msg->count; i++)
        msg->answers[i].id += 1000000;
    honest(link, msg);
}

/* The last byte only: every form is kept, also that of an ECDSA signature. */
static void wrong_bytes(struct link *link, struct msg *msg)
{
    for (size_t i = 0; i < msg->count; i++)
        if (msg->answers[i].outcome.length > 0)
            msg->answers[i].outcome.bytes[msg->answers[i].outcome.length - 1] ^= 1;
    honest(link, msg);
}

static void too_short(struct link *link, struct msg *msg)
{
    for (size_t i = 0; i < msg->count; i++)
        if (msg->answers[i].outcome.length > 0)
            msg->answers[i].outcome.length--;
    honest(link, msg);
}

static void random_result(struct link *link, struct msg *msg)
{
    for (size_t i = 0; i < msg->count; i++)
        random_bytes(msg->answers[i].outcome.bytes, msg->answers[i].outcome.length);
    honest(link, msg);
}

static void busy(struct link *link, struct msg *msg)
{
    for (size_t i = 0; i < msg->count; i++)
        msg->answers[i].outcome = (struct outcome){.status = STATUS_BUSY};
    honest(link, msg);
}

static void garbage(struct link *link, struct msg *msg)
{
    (void)msg;
    struct buffer noise = {0};
    uint8_t bytes[300];
    random_bytes(bytes, sizeof bytes);
    bytes[0] = 0xff; /* no protobuf field begins like this */
    if (buffer_put(&noise, bytes, sizeof bytes) == 0)
        send_to(link->edge, &noise);
    buffer_clear(&noise);
}

static void hang_up(struct link *link, struct msg *msg)
{
    (void)msg;
    channel_close(link->edge);
}

static void on_late_closed(uv_handle_t *handle)
{
    struct late *late = handle->data;
    buffer_clear(&late->packed);
    free(late);
}

static void on_late(uv_timer_t *timer)
{
    struct late *late = timer->data;
    send_to(late->link->edge, &late->packed);
    uv_close((uv_handle_t *)timer, on_late_closed);
}

static void be_late(struct link *link, struct msg *msg)
{
    struct late *late = calloc(1, sizeof *late);
    if (late == NULL)
        return;
    if (msg_pack_answers(&late->packed, msg->answers, msg->count) != 0) {
        buffer_clear(&late->packed);
        free(late);
        return;
    }
    late->link = link;
    uv_timer_init(uv_default_loop(), &late->timer);
    late->timer.data = late;
    uv_timer_start(&late->timer, on_late, late_ms, 0);
}

static const struct {
    const char *name;
    spoiler spoil;
} modes[] = {
    {"honest", honest},           {"never", never},         {"twice", twice},          {"wrong_id", wrong_id},
    {"wrong_bytes", wrong_bytes}, {"too_short", too_short}, {"random", random_result}, {"busy", busy},
    {"garbage", garbage},         {"hang_up", hang_up},     {"late", be_late},
};

static void say_hello(struct channel *channel, uint32_t in_flight_max)
{
    struct msg_hello hello = {.version_min = PROTOCOL_VERSION_MIN,
                              .version_max = PROTOCOL_VERSION_MAX,
                              .in_flight_max = in_flight_max,
                              .software = "peer_hostile"};
    struct buffer packed = {0};
    if (msg_pack_hello(&packed, &hello) == 0)
        send_to(channel, &packed);
    buffer_clear(&packed);
}

/* It has no epochs to give: nobody is to wait for one. */
static void say_no_epoch(struct channel *channel)
{
    const struct msg_epoch none = {0};
    struct buffer packed = {0};
    if (msg_pack_epoch(&packed, &none) == 0)
        send_to(channel, &packed);
    buffer_clear(&packed);
}

/* ---- upstream ---- */

static void on_upstream_open(struct channel *channel, void *user)
{
    struct link *link = user;
    say_hello(channel, 0);
    link->upstream_open = true;
    while (buffer_length(&link->waiting) > 0) {
        uint32_t length;
        memcpy(&length, buffer_bytes(&link->waiting), sizeof length);
        if (channel_send(channel, buffer_bytes(&link->waiting) + sizeof length, length) != 0)
            fputs("peer_hostile: upstream would not take a message\n", stderr);
        buffer_consume(&link->waiting, sizeof length + length);
    }
}

/* Whether MSG says something of keys or load: an edge asks for that by itself, at any time. */
static bool has_list(const struct msg *msg)
{
    for (size_t i = 0; i < msg->count; i++)
        if (msg->answers[i].outcome.status == STATUS_OK && msg->answers[i].outcome.length == 0)
            return true;
    return false;
}

/* The first `spoil_left` of the answers are spoiled, the others passed on before. Of a limited number none is
 * spent on what the test did not ask for. */
static void treat(struct link *link, struct msg *msg)
{
    size_t count = msg->count < spoil_left ? msg->count : spoil_left;

    if (spoil_left != SIZE_MAX && has_list(msg))
        count = 0;

    if (count < msg->count)
        send_answers(link, msg->answers + count, msg->count - count);
    if (count == 0)
        return;
    if (spoil_left != SIZE_MAX)
        spoil_left -= count;
    msg->count = count;
    spoil(link, msg);
}

static void on_upstream_message(struct channel *channel, const uint8_t *bytes, size_t length, void *user)
{
    (void)channel;
    struct link *link = user;
    struct msg *msg = NULL;
    if (msg_parse(&msg, bytes, length) != 0)
        return;
    if (msg->kind == MSG_ANSWERS && link->edge != NULL)
        treat(link, msg);
    msg_free(msg);
}

static void on_upstream_close(struct channel *channel, int why, void *user)
{
    (void)channel;
    (void)why;
    struct link *link = user;
    link->upstream = NULL;
    link->upstream_open = false;
}

static const struct channel_handlers upstream_handlers = {
    .on_open = on_upstream_open, .on_message = on_upstream_message, .on_close = on_upstream_close};

/* ---- the edge's side; links stay until the end, since late answers may still name them ---- */

static int on_lookup(const uint8_t key[static 32], const struct address *from,
                     struct channel_verdict *verdict, void *user)
{
    (void)key;
    (void)from;
    (void)user;
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return ERR_MEMORY;
    link->next = links;
    links = link;
    memcpy(verdict->psk, psk, sizeof psk);
    verdict->user = link;
    return 0;
}

static void on_edge_open(struct channel *channel, void *user)
{
    struct link *link = user;
    struct channel_settings settings;
    channel_settings_default(&settings);
    link->edge = channel;
    link->upstream = channel_connect(uv_default_loop(), &upstream_address, edge_identity, upstream_key, psk,
                                     &settings, &upstream_handlers, link);
    say_hello(channel, 4096);
    say_no_epoch(channel);
}

static void on_edge_message(struct channel *channel, const uint8_t *bytes, size_t length, void *user)
{
    (void)channel;
    struct link *link = user;
    struct msg *msg = NULL;
    if (msg_parse(&msg, bytes, length) != 0)
        return;
    bool requests = msg->kind == MSG_REQUESTS;
    msg_free(msg);
    if (!requests || link->upstream == NULL)
        return;
    if (link->upstream_open && channel_send(link->upstream, bytes, length) == 0)
        return;
    uint32_t size = (uint32_t)length;
    if (buffer_put(&link->waiting, &size, sizeof size) != 0 || buffer_put(&link->waiting, bytes, length) != 0)
        fputs("peer_hostile: out of memory\n", stderr);
}

static void on_edge_close(struct channel *channel, int why, void *user)
{
    (void)channel;
    (void)why;
    struct link *link = user;
    link->edge = NULL;
    if (link->upstream != NULL)
        channel_close(link->upstream);
}

static void on_drop(enum channel_drop why, const uint8_t *key, const struct address *from, void *user)
{
    (void)key;
    (void)from;
    (void)user;
    fprintf(stderr, "event=dropped why=%s\n", channel_drop_name(why));
}

/* ---- control ---- */

static void choose_mode(char *line)
{
    size_t count = SIZE_MAX;
    line[strcspn(line, "\r\n")] = 0;
    char *number = strchr(line, ' ');
    if (number != NULL) {
        *number = 0;
        count = strtoul(number + 1, NULL, 10);
    }
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(line, modes[i].name) == 0) {
            spoil = modes[i].spoil;
            spoil_left = count;
            fprintf(stderr, "event=mode mode=%s\n", line);
            return;
        }
    fprintf(stderr, "peer_hostile: no mode '%s'\n", line);
}

static void on_input(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)events;
    char line[64];
    ssize_t got = read(0, line, sizeof line - 1);
    if (status != 0 || got <= 0)
        exit(0);
    line[got] = 0;
    choose_mode(line);
}

int main(int argc, char *argv[])
{
    static const struct channel_listener_handlers handlers = {
        .on_lookup = on_lookup,
        .on_drop = on_drop,
        .channel = {.on_open = on_edge_open, .on_message = on_edge_message, .on_close = on_edge_close}};
    struct fault fault = {0};
    struct channel_listener_settings settings;
    struct channel_listener *listener;
    struct address address;
    char text[ADDRESS_TEXT_SIZE];
    uv_poll_t input;
    if (argc != 7 || secret_init() != 0 || identity_load(&self, argv[1], &fault) != 0 ||
        identity_load_secret(psk, argv[2], &fault) != 0 ||
        address_parse(&upstream_address, argv[3], 0, &fault) != 0 ||
        base64_decode(upstream_key, sizeof upstream_key, argv[4]) != 0 ||
        identity_load(&edge_identity, argv[5], &fault) != 0 ||
        address_parse(&address, "127.0.0.1:0", 0, &fault) != 0) {
        fprintf(stderr, "peer_hostile: %s\n", fault.text);
        return 2;
    }
    spoil = honest;
    spoil_left = SIZE_MAX;
    late_ms = strtoul(argv[6], NULL, 10);
    int fd = address_listen(&address, false, 64, &fault);
    channel_listener_settings_default(&settings);
    if (fd < 0 || address_of_socket(fd, &address) != 0 ||
        channel_listener_start(&listener, uv_default_loop(), fd, self, &settings, &handlers, NULL) != 0)
        return 1;
    uv_poll_init(uv_default_loop(), &input, 0);
    uv_poll_start(&input, UV_READABLE, on_input);
    fprintf(stderr, "event=listening address=%s\n", address_text(&address, text));
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
