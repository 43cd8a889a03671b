#include "tests/unit/common/channel_pair.h"

#include <string.h>
#include <unistd.h>

#define GUARD_MS 20000 /* a test that takes so long hangs */

static struct end *pair_note_open(struct channel *channel, struct end *end)
{
    assert_int_equal(end->closed, 0);
    end->channel = channel;
    end->opened++;
    if (end->greet)
        assert_int_equal(channel_send(channel, "hello", 5), 0);
    if (end->close_on_open)
        channel_close(channel);
    return end;
}

static void pair_on_open(struct channel *channel, void *user)
{
    pair_note_open(channel, user);
}

static void pair_on_message(struct channel *channel, const uint8_t *bytes, size_t length, void *user)
{
    struct end *end = user;
    assert_int_equal(end->opened, 1);
    assert_int_equal(end->closed, 0);
    uint8_t head = length > 0 ? bytes[0] : 0;
    if (end->messages++ == 0)
        end->first = head;
    end->last = head;
    end->last_length = length;
    end->bytes += length;
    if (end->keep)
        assert_int_equal(buffer_put(&end->log, bytes, length), 0);
    if (end->echo)
        assert_int_equal(channel_send(channel, bytes, length), 0);
    if (end->close_on_message)
        channel_close(channel);
}

static void pair_on_writable(struct channel *channel, void *user)
{
    struct end *end = user;
    (void)channel;
    end->writable++;
}

static void pair_on_close(struct channel *channel, int why, void *user)
{
    struct end *end = user;
    assert_int_equal(end->closed, 0);
    assert_int_equal(channel_send(channel, "x", 1), ERR_CLOSED);
    channel_close(channel); /* allowed, and nothing comes of it */
    end->closed++;
    end->why = why;
    end->channel = NULL;
}

static const struct channel_handlers pair_handlers = {.on_open = pair_on_open,
                                                      .on_message = pair_on_message,
                                                      .on_writable = pair_on_writable,
                                                      .on_close = pair_on_close};

static int pair_on_lookup(const uint8_t key[static NOISE_KEY_SIZE], const struct address *from,
                          struct channel_verdict *verdict, void *user)
{
    struct pair *p = user;
    assert_true(address_is_loopback(from));
    p->lookups++;
    if (p->refuse || !same_bytes(key, p->edge_id.public, NOISE_KEY_SIZE))
        return ERR_REFUSED;
    memcpy(verdict->psk, p->server_psk, sizeof verdict->psk);
    verdict->user = &p->server;
    return 0;
}

static void pair_on_drop(enum channel_drop why, const uint8_t *key, const struct address *from, void *user)
{
    struct pair *p = user;
    assert_true(address_is_loopback(from));
    p->drops[why]++;
    p->drop_had_key = key != NULL;
}

static void pair_on_guard(uv_timer_t *timer)
{
    struct pair *p = timer->data;
    p->expired = true;
}

void pair_init(struct pair *p)
{
    memset(p, 0, sizeof *p);
    assert_int_equal(uv_loop_init(&p->loop), 0);
    uv_timer_init(&p->loop, &p->guard);
    p->guard.data = p;
    uv_timer_start(&p->guard, pair_on_guard, GUARD_MS, 0);
    identity_generate(&p->edge_id);
    identity_generate(&p->server_id);
    random_bytes(p->psk, sizeof p->psk);
    memcpy(p->server_psk, p->psk, sizeof p->psk);
    memcpy(p->server_key, p->server_id.public, sizeof p->server_key);
    channel_settings_default(&p->settings);
    channel_listener_settings_default(&p->listener_settings);
    channel_shares_start(&p->shares, &p->loop);
    p->listener_settings.shares = &p->shares;
}

void pair_listen_at(struct pair *p, const char *text)
{
    static const struct channel_listener_handlers handlers = {
        .on_lookup = pair_on_lookup,
        .on_drop = pair_on_drop,
        .channel = {.on_open = pair_on_open,
                    .on_message = pair_on_message,
                    .on_writable = pair_on_writable,
                    .on_close = pair_on_close},
    };
    struct fault fault;
    assert_int_equal(address_parse(&p->address, text, 0, &fault), 0);
    int fd = address_listen(&p->address, false, 1024, &fault);
    assert_true(fd >= 0);
    if (!address_is_local(&p->address))
        assert_int_equal(address_of_socket(fd, &p->address), 0);
    assert_int_equal(channel_listener_start(&p->listener, &p->loop, fd, &p->server_id, &p->listener_settings,
                                            &handlers, p),
                     0);
}

void pair_listen(struct pair *p)
{
    pair_listen_at(p, "127.0.0.1:0");
}

void pair_connect_to(struct pair *p, const struct address *to)
{
    p->edge.greet = true;
    p->edge.channel = channel_connect(&p->loop, to, &p->edge_id, p->server_key, p->psk, &p->settings,
                                      &pair_handlers, &p->edge);
    assert_non_null(p->edge.channel);
    assert_int_equal(p->edge.opened + p->edge.closed, 0);
}

void pair_connect(struct pair *p)
{
    pair_connect_to(p, &p->address);
}

void pair_open(struct pair *p)
{
    pair_init(p);
    pair_listen(p);
    pair_connect(p);
    RUN_UNTIL(p, p->server.messages == 1);
    assert_int_equal(p->edge.opened, 1);
    assert_int_equal(p->server.opened, 1);
}

void pair_clear(struct pair *p)
{
    if (p->edge.channel != NULL)
        channel_close(p->edge.channel);
    if (p->server.channel != NULL)
        channel_close(p->server.channel);
    channel_listener_close(p->listener);
    channel_shares_close(&p->shares);
    uv_close((uv_handle_t *)&p->guard, NULL);
    assert_int_equal(uv_run(&p->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&p->loop), 0);
    buffer_clear(&p->edge.log);
    buffer_clear(&p->server.log);
}

int pair_start_library(void **state)
{
    (void)state;
    return secret_init();
}
