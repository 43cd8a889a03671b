/* Somebody who has all that an edge has, and asks a key server whatever he likes.
 *
 *     peer_ask ADDRESS SERVER_KEY IDENTITY_FILE PSK_FILE
 *
 * Connects and greets, then prints a line for each line of standard input, in the same order:
 *
 *     epoch                                   → NUMBER KEY LEFT_MS, the latest pushed (waits for the first)
 *     next_epoch                              → the same, once another has been pushed
 *     rsa_master KEY_ID MESSAGES              → STATUS BYTES
 *     rsa_premaster KEY_ID VERSION CIPHERTEXT → STATUS BYTES
 *     sign_tls13 KEY_ID SCHEME HASH           → STATUS BYTES
 *     sign_tls12 KEY_ID SCHEME PARAMS         → STATUS BYTES, with randoms of zeros
 *     keys                                    → STATUS
 *     leave                                   → closed WHY; a ping and the end of the channel, in one piece
 *
 * Everything in hex. When the channel ends, "closed WHY" and exit 1. Blocking; one thread. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "common/channel.h"
#include "common/secret.h"
#include "proto/msg.h"
#include "tests/lib/send_hello.h"

#define LINE_SIZE  (2 * HANDSHAKE_MAX + 512)
#define TIMEOUT_MS 30000

static uv_loop_t loop;
static uv_timer_t patience;
static struct channel *channel;
static bool greeted, closed, out_of_patience;
static int why;
static struct msg_epoch epoch; /* number 0: none yet */
static bool answered;
static struct msg_answer answer;
static uint64_t next_id = 1;

static _Noreturn void die(const char *text)
{
    fprintf(stderr, "peer_ask: %s\n", text);
    exit(2);
}

static void on_open(struct channel *c, void *user)
{
    (void)user;
    if (send_hello(c, "peer_ask") != 0)
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
    if (msg->kind == MSG_EPOCH)
        epoch = msg->epoch;
    for (size_t i = 0; msg->kind == MSG_ANSWERS && i < msg->count; i++)
        if (!msg->answers[i].more) {
            answer = msg->answers[i];
            answered = true;
        }
    msg_free(msg);
}

static void on_close(struct channel *c, int reason, void *user)
{
    (void)c;
    (void)user;
    closed = true;
    why = reason;
}

static void on_patience(uv_timer_t *timer)
{
    (void)timer;
    out_of_patience = true;
}

static _Noreturn void end_closed(void)
{
    printf("closed %s\n", closed ? err_string(why) : "no answer");
    exit(1);
}

/* Runs the loop until *DONE, or ends the program. */
static void await(const bool *done)
{
    out_of_patience = false;
    uv_timer_start(&patience, on_patience, TIMEOUT_MS, 0);
    while (!*done && !closed && !out_of_patience)
        uv_run(&loop, UV_RUN_ONCE);
    uv_timer_stop(&patience);
    if (!*done)
        end_closed();
}

static size_t hex_of(const char *text, uint8_t *out, size_t size)
{
    size_t length = strlen(text) / 2;
    if (length > size || hex_decode(out, length, text) != 0)
        die("not hex, or too long");
    return length;
}

/* Fills OPERATION from the words of a line; MESSAGES is room for a handshake. */
static void read_operation(struct operation *operation, const char *verb, char *rest,
                           uint8_t messages[static HANDSHAKE_MAX])
{
    char *save = NULL;
    if (strcmp(verb, "keys") == 0) {
        operation->kind = OP_KEYS;
        return;
    }
    if (rest == NULL)
        die("a key id and more is missing");
    const char *key = strtok_r(rest, " ", &save), *second = strtok_r(NULL, " ", &save),
               *third = strtok_r(NULL, " ", &save);
    if (key == NULL || second == NULL || hex_of(key, operation->key_id, KEY_ID_SIZE) != KEY_ID_SIZE)
        die("a key id and more is missing");
    if (strcmp(verb, "rsa_master") == 0) {
        operation->kind = OP_RSA_MASTER;
        operation->u.rsa_master.messages = messages;
        operation->u.rsa_master.length = (uint32_t)hex_of(second, messages, HANDSHAKE_MAX);
        return;
    }
    if (third == NULL)
        die("a field is missing");
    uint16_t number = (uint16_t)strtoul(second, NULL, 16);
    if (strcmp(verb, "rsa_premaster") == 0) {
        operation->kind = OP_RSA_PREMASTER;
        operation->u.rsa_premaster.client_version = number;
        operation->u.rsa_premaster.ciphertext_length = (uint16_t)hex_of(
            third, operation->u.rsa_premaster.ciphertext, RSA_MODULUS_MAX);
    } else if (strcmp(verb, "sign_tls13") == 0) {
        operation->kind = OP_SIGN_TLS13;
        operation->u.sign_tls13.scheme = number;
        operation->u.sign_tls13.hash_length = (uint16_t)hex_of(third, operation->u.sign_tls13.hash,
                                                               TRANSCRIPT_HASH_MAX);
    } else if (strcmp(verb, "sign_tls12") == 0) {
        operation->kind = OP_SIGN_TLS12;
        operation->u.sign_tls12.scheme = number;
        operation->u.sign_tls12.params_length = (uint16_t)hex_of(third, operation->u.sign_tls12.params,
                                                                 KEY_EXCHANGE_PARAMS_MAX);
    } else {
        die("no such verb");
    }
}

static void ask_operation(const char *verb, char *rest)
{
    static uint8_t messages[HANDSHAKE_MAX];
    char hex[2 * RESULT_MAX + 1];
    struct msg_request request = {.id = next_id++, .deadline_ms = 20000};
    struct buffer packed = {0};
    trace_id_new(&request.trace);
    read_operation(&request.operation, verb, rest, messages);
    if (msg_pack_requests(&packed, &request, 1) != 0)
        die("the request cannot be packed");
    if (closed || channel_send(channel, buffer_bytes(&packed), buffer_length(&packed)) != 0)
        end_closed(); /* with on_close() the channel is gone */
    buffer_clear(&packed);
    answered = false;
    await(&answered);
    printf("%s %s\n", status_name(answer.outcome.status),
           hex_encode(hex, answer.outcome.bytes, answer.outcome.length));
}

static _Noreturn void leave(void)
{
    const struct msg_request ping = {.id = next_id++, .deadline_ms = 20000, .operation = {.kind = OP_PING}};
    struct buffer packed = {0};
    if (msg_pack_requests(&packed, &ping, 1) != 0)
        die("the request cannot be packed");
    if (closed || channel_send(channel, buffer_bytes(&packed), buffer_length(&packed)) != 0)
        end_closed();
    buffer_clear(&packed);
    channel_close(channel);
    await(&closed);
    end_closed();
}

static void show_epoch(uint64_t than)
{
    char hex[2 * EPOCH_KEY_SIZE + 1];
    bool there = epoch.number > than;
    out_of_patience = false;
    uv_timer_start(&patience, on_patience, TIMEOUT_MS, 0);
    while (!there && !closed && !out_of_patience) {
        uv_run(&loop, UV_RUN_ONCE);
        there = epoch.number > than;
    }
    uv_timer_stop(&patience);
    await(&there);
    printf("%llu %s %u\n", (unsigned long long)epoch.number, hex_encode(hex, epoch.key, sizeof epoch.key),
           epoch.left_ms);
}

static void obey_line(char *line)
{
    line[strcspn(line, "\n")] = 0;
    char *rest = strchr(line, ' ');
    if (rest != NULL)
        *rest++ = 0;
    if (strcmp(line, "epoch") == 0)
        show_epoch(0);
    else if (strcmp(line, "next_epoch") == 0)
        show_epoch(epoch.number);
    else if (strcmp(line, "leave") == 0)
        leave();
    else
        ask_operation(line, rest);
    fflush(stdout);
}

/* Between lines the loop must go on, or pings and epochs would wait: reads one when there is one. */
static void serve(void)
{
    static char line[LINE_SIZE];
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = uv_backend_fd(&loop), .events = POLLIN}};
    setvbuf(stdin, NULL, _IONBF, 0);
    for (;;) {
        uv_run(&loop, UV_RUN_NOWAIT);
        if (poll(fds, 2, 100) < 0 && errno != EINTR)
            die("poll");
        if (fds[0].revents == 0)
            continue;
        if (fgets(line, sizeof line, stdin) == NULL)
            return;
        obey_line(line);
    }
}

int main(int argc, char *argv[])
{
    static const struct channel_handlers handlers = {
        .on_open = on_open, .on_message = on_message, .on_close = on_close};
    struct fault fault = {.text = ""};
    struct channel_settings settings;
    struct identity *identity = NULL;
    struct address address;
    uint8_t server_key[32], psk[32];
    if (argc != 5)
        die("usage: peer_ask ADDRESS SERVER_KEY IDENTITY_FILE PSK_FILE");
    if (secret_init() != 0 || address_parse(&address, argv[1], 0, &fault) != 0 ||
        base64_decode(server_key, sizeof server_key, argv[2]) != 0 ||
        identity_load(&identity, argv[3], &fault) != 0 || identity_load_secret(psk, argv[4], &fault) != 0)
        die(fault.text);
    channel_settings_default(&settings);
    uv_loop_init(&loop);
    uv_timer_init(&loop, &patience);
    channel = channel_connect(&loop, &address, identity, server_key, psk, &settings, &handlers, NULL);
    if (channel == NULL)
        die("no memory");
    await(&greeted);
    serve();
    secret_free(identity);
    return 0;
}
