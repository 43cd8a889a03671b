/* Somebody who has all that an edge has, and keeps a key server busy, whatever becomes of it.
 *
 *     peer_load ADDRESS SERVER_KEY IDENTITY_FILE PSK_FILE KEY_ID SCHEME IN_FLIGHT
 *
 * Keeps IN_FLIGHT signatures (sign_tls13, SCHEME in hex) open, each under a trace id of its own and asked for
 * once only; connects again when the channel ends. Prints "TRACE STATUS" for each that is answered. Ends when
 * standard input does. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "common/channel.h"
#include "common/secret.h"
#include "proto/msg.h"
#include "tests/lib/send_hello.h"

#define IN_FLIGHT_MAX 1024
#define REST_MS       5 /* between two attempts to connect, and after an answer that is none */

enum slot_state { SLOT_IDLE, SLOT_OPEN, SLOT_RESTING };

static struct {
    enum slot_state state;
    struct trace_id trace;
} slots[IN_FLIGHT_MAX]; /* the id of a request is its slot's place + 1 */

static uv_loop_t loop;
static uv_timer_t rest;
static uv_check_t turn;
static uv_poll_t input;
static size_t in_flight;
static struct channel *channel; /* NULL: connects at the next tick */
static bool greeted;
static struct operation operation;
static struct {
    struct address address;
    struct identity *identity;
    uint8_t server_key[32], psk[32];
} way;

static _Noreturn void die(const char *text)
{
    fprintf(stderr, "peer_load: %s\n", text);
    exit(2);
}

/* ---- requests ---- */

/* On a channel that has just ended it makes no difference: on_close follows. */
static void send_batch(const struct msg_request *requests, size_t count)
{
    struct buffer packed = {0};
    if (msg_pack_requests(&packed, requests, count) != 0)
        die("the requests cannot be packed");
    int err = channel_send(channel, buffer_bytes(&packed), buffer_length(&packed));
    if (err != 0 && err != ERR_CLOSED)
        die("the requests cannot be sent");
    buffer_clear(&packed);
}

/* Asks for whatever is not asked for, at the end of a turn of the loop. */
static void on_turn(uv_check_t *handle)
{
    static struct msg_request batch[MSG_BATCH_MAX];
    size_t count = 0;
    (void)handle;
    fflush(stdout);
    for (size_t i = 0; i < in_flight && greeted; i++) {
        if (slots[i].state != SLOT_IDLE)
            continue;
        slots[i].state = SLOT_OPEN;
        trace_id_new(&slots[i].trace);
        batch[count++] = (struct msg_request){
            .id = i + 1, .deadline_ms = 60000, .trace = slots[i].trace, .operation = operation};
        if (count == MSG_BATCH_MAX) {
            send_batch(batch, count);
            count = 0;
        }
    }
    if (count > 0)
        send_batch(batch, count);
}

static void take_answer(const struct msg_answer *answer)
{
    char trace[2 * TRACE_ID_SIZE + 1];
    size_t i = (size_t)answer->id - 1;
    if (i >= in_flight || slots[i].state != SLOT_OPEN)
        die("an answer to nothing");
    slots[i].state = answer->outcome.status == STATUS_OK ? SLOT_IDLE : SLOT_RESTING;
    printf("%s %s\n", trace_id_text(&slots[i].trace, trace), status_name(answer->outcome.status));
}

/* ---- the channel ---- */

static void on_open(struct channel *c, void *user)
{
    (void)user;
    if (send_hello(c, "peer_load") != 0)
        die("no hello");
}

static void on_message(struct channel *c, const uint8_t *bytes, size_t length, void *user)
{
    struct msg *msg = NULL;
    (void)c;
    (void)user;
    if (msg_parse(&msg, bytes, length) != 0)
        die("not a message");
    greeted |= msg->kind == MSG_HELLO;
    for (size_t i = 0; msg->kind == MSG_ANSWERS && i < msg->count; i++)
        take_answer(&msg->answers[i]);
    msg_free(msg);
}

/* What was open will not be answered any more. */
static void on_close(struct channel *c, int why, void *user)
{
    (void)c;
    (void)why;
    (void)user;
    channel = NULL;
    greeted = false;
    for (size_t i = 0; i < in_flight; i++)
        slots[i].state = SLOT_IDLE;
}

static void on_rest(uv_timer_t *timer)
{
    static const struct channel_handlers handlers = {
        .on_open = on_open, .on_message = on_message, .on_close = on_close};
    struct channel_settings settings;
    (void)timer;
    for (size_t i = 0; i < in_flight; i++)
        if (slots[i].state == SLOT_RESTING)
            slots[i].state = SLOT_IDLE;
    if (channel != NULL)
        return;
    channel_settings_default(&settings);
    channel = channel_connect(&loop, &way.address, way.identity, way.server_key, way.psk, &settings,
                              &handlers, NULL);
    if (channel == NULL)
        die("no memory");
}

/* ---- the beginning and the end ---- */

static void on_input(uv_poll_t *handle, int status, int events)
{
    char bytes[64];
    (void)handle;
    (void)status;
    (void)events;
    if (read(STDIN_FILENO, bytes, sizeof bytes) <= 0)
        uv_stop(&loop);
}

static void read_arguments(char *argv[])
{
    struct fault fault = {.text = ""};
    if (secret_init() != 0 || address_parse(&way.address, argv[1], 0, &fault) != 0 ||
        base64_decode(way.server_key, sizeof way.server_key, argv[2]) != 0 ||
        identity_load(&way.identity, argv[3], &fault) != 0 ||
        identity_load_secret(way.psk, argv[4], &fault) != 0)
        die(fault.text);
    in_flight = strtoul(argv[7], NULL, 10);
    if (in_flight == 0 || in_flight > IN_FLIGHT_MAX)
        die("so many cannot be open");
    operation.kind = OP_SIGN_TLS13;
    operation.u.sign_tls13.scheme = (uint16_t)strtoul(argv[6], NULL, 16);
    operation.u.sign_tls13.hash_length = 32;
    if (hex_decode(operation.key_id, KEY_ID_SIZE, argv[5]) != 0)
        die("not a key id");
}

int main(int argc, char *argv[])
{
    if (argc != 8)
        die("see the first lines of its source");
    read_arguments(argv);
    uv_loop_init(&loop);
    uv_timer_init(&loop, &rest);
    uv_check_init(&loop, &turn);
    uv_poll_init(&loop, &input, STDIN_FILENO);
    uv_timer_start(&rest, on_rest, 0, REST_MS);
    uv_check_start(&turn, on_turn);
    uv_poll_start(&input, UV_READABLE, on_input);
    uv_run(&loop, UV_RUN_DEFAULT);
    secret_free(way.identity);
    return fflush(stdout) != 0;
}
