/* The ordinary life of a channel: open, messages, rekey, ping, limits, close. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/common/channel_pair.h"

static void both_ends_open_agree_on_the_hash_and_echo(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    p.server.echo = true;
    p.edge.keep = true;
    pair_listen(&p);
    pair_connect(&p);
    RUN_UNTIL(&p, p.edge.messages == 1);
    assert_memory_equal(buffer_bytes(&p.edge.log), "hello", 5);
    assert_memory_equal(channel_hash(p.edge.channel), channel_hash(p.server.channel), NOISE_HASH_SIZE);
    assert_memory_equal(channel_peer_key(p.edge.channel), p.server_id.public, NOISE_KEY_SIZE);
    assert_memory_equal(channel_peer_key(p.server.channel), p.edge_id.public, NOISE_KEY_SIZE);
    assert_true(address_is_loopback(channel_address(p.server.channel)));
    assert_memory_equal(channel_address(p.edge.channel), &p.address, sizeof p.address);
    pair_clear(&p);
    assert_int_equal(p.edge.closed, 1);
    assert_int_equal(p.server.closed, 1);
    for (size_t i = 0; i < DROP_KINDS; i++)
        assert_int_equal(p.drops[i], 0);
}

static void a_unix_socket_carries_it_as_well(void **state)
{
    (void)state;
    struct pair p;
    char folder[] = "/tmp/keyless-channel-XXXXXX", text[64];
    assert_non_null(mkdtemp(folder));
    snprintf(text, sizeof text, "unix:%s/s", folder);
    pair_init(&p);
    p.server.echo = true;
    pair_listen_at(&p, text);
    pair_connect(&p);
    RUN_UNTIL(&p, p.edge.messages == 1);
    pair_clear(&p);
    assert_int_equal(p.edge.why, ERR_CLOSED);
    assert_int_equal(unlink(text + 5), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void messages_up_to_the_limit_pass_and_one_byte_more_is_refused(void **state)
{
    (void)state;
    static uint8_t big[CHANNEL_MESSAGE_MAX + 1];
    static const size_t lengths[] = {0, 1, CHANNEL_MESSAGE_MAX - 1, CHANNEL_MESSAGE_MAX};
    struct pair p;
    pair_open(&p);
    p.server.echo = true;
    p.edge.keep = true;
    random_bytes(big, sizeof big);
    for (unsigned i = 0; i < 4; i++) {
        buffer_clear(&p.edge.log);
        assert_int_equal(channel_send(p.edge.channel, big, lengths[i]), 0);
        RUN_UNTIL(&p, p.edge.messages == i + 1);
        assert_int_equal(p.edge.last_length, lengths[i]);
        assert_int_equal(buffer_length(&p.edge.log), lengths[i]);
        if (lengths[i] > 0)
            assert_memory_equal(buffer_bytes(&p.edge.log), big, lengths[i]);
    }
    assert_int_equal(channel_send(p.edge.channel, big, CHANNEL_MESSAGE_MAX + 1), ERR_LENGTH);
    pair_clear(&p);
    assert_int_equal(p.edge.messages, 4);
    assert_int_equal(p.edge.why, ERR_CLOSED);
}

static void thousands_of_small_messages_come_in_order(void **state)
{
    (void)state;
    struct pair p;
    struct buffer sent = {0};
    pair_open(&p);
    p.server.keep = true;
    for (uint32_t i = 0; i < 20000; i++) {
        assert_int_equal(buffer_put(&sent, &i, sizeof i), 0);
        assert_int_equal(channel_send(p.edge.channel, &i, sizeof i), 0);
    }
    RUN_UNTIL(&p, p.server.messages == 20001);
    assert_int_equal(buffer_length(&p.server.log), buffer_length(&sent));
    assert_memory_equal(buffer_bytes(&p.server.log), buffer_bytes(&sent), buffer_length(&sent));
    RUN_UNTIL(&p, channel_unsent(p.edge.channel) == 0);
    buffer_clear(&sent);
    pair_clear(&p);
}

static void rekeying_every_third_message_loses_nothing(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    p.settings.rekey_messages = 3;
    p.listener_settings.channel.rekey_messages = 3;
    p.server.echo = true;
    pair_listen(&p);
    pair_connect(&p);
    RUN_UNTIL(&p, p.edge.messages == 1);
    size_t before = channel_unsent(p.edge.channel);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(channel_send(p.edge.channel, "x", 1), 0);
    /* One has gone before, so a rekey message of 19 bytes stands before numbers 3, 6, 9, … of these. */
    assert_int_equal(channel_unsent(p.edge.channel) - before, 100 * 20 + 33 * 19);
    RUN_UNTIL(&p, p.edge.messages == 101);
    pair_clear(&p);
    assert_int_equal(p.edge.why, ERR_CLOSED);
}

static void on_tick(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Lets at least MS milliseconds of loop time pass. */
static void pass_time(struct pair *p, uint64_t ms)
{
    uv_timer_t timer;
    bool over = false;
    uv_timer_init(&p->loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_tick, ms, 0);
    RUN_UNTIL(p, over);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&p->loop, UV_RUN_NOWAIT);
}

static void keys_change_after_the_interval(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    p.settings.rekey_interval_ms = 20;
    pair_listen(&p);
    pair_connect(&p);
    RUN_UNTIL(&p, p.server.messages == 1);
    pass_time(&p, 25);
    assert_int_equal(channel_unsent(p.edge.channel), 0);
    assert_int_equal(channel_send(p.edge.channel, "x", 1), 0);
    assert_int_equal(channel_unsent(p.edge.channel), 19 + 20); /* a rekey first */
    assert_int_equal(channel_send(p.edge.channel, "y", 1), 0);
    assert_int_equal(channel_unsent(p.edge.channel), 19 + 20 + 20);
    RUN_UNTIL(&p, p.server.messages == 3);
    pair_clear(&p);
}

static void a_quiet_channel_is_pinged_and_knows_its_round_trip(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    p.settings.ping_interval_ms = 5;
    p.settings.idle_timeout_ms = 5000;
    p.listener_settings.channel.ping_interval_ms = 0;
    pair_listen(&p);
    pair_connect(&p);
    assert_int_equal(channel_rtt_ns(p.edge.channel), 0);
    RUN_UNTIL(&p, p.server.messages == 1);
    RUN_UNTIL(&p, channel_rtt_ns(p.edge.channel) != 0);
    assert_true(channel_rtt_ns(p.edge.channel) < 5000000000u);
    assert_int_equal(channel_rtt_ns(p.server.channel), 0);
    assert_int_equal(p.edge.messages, 0);
    pair_clear(&p);
}

static void silence_beyond_the_idle_timeout_ends_it(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    p.settings.ping_interval_ms = 0;
    p.settings.idle_timeout_ms = 0;
    p.listener_settings.channel.idle_timeout_ms = 30;
    p.listener_settings.channel.ping_interval_ms = 0;
    pair_listen(&p);
    pair_connect(&p);
    RUN_UNTIL(&p, p.server.closed == 1 && p.edge.closed == 1);
    assert_int_equal(p.server.why, ERR_TIMEOUT);
    assert_int_equal(p.edge.why, ERR_CLOSED); /* it is told: only what somebody else ends is a cut */
    pair_clear(&p);
}

/* The edge pings often enough for both. */
static void connect_pinging(struct pair *p)
{
    pair_init(p);
    p->settings.ping_interval_ms = 20;
    p->settings.idle_timeout_ms = 400;
    p->listener_settings.channel.idle_timeout_ms = 400;
    p->listener_settings.channel.ping_interval_ms = 0;
    pair_listen(p);
    pair_connect(p);
}

static void pings_keep_both_ends_from_the_idle_timeout(void **state)
{
    (void)state;
    struct pair p;
    connect_pinging(&p);
    pass_time(&p, 1000);
    assert_int_equal(p.server.closed + p.edge.closed, 0);
    assert_int_equal(p.server.opened, 1);
    pair_clear(&p);
}

/* Neither end can tell that the other was held up as well: a machine that was suspended wakes with all of its
 * channels. */
static void who_was_held_up_asks_before_it_gives_a_channel_up(void **state)
{
    (void)state;
    struct pair p;
    connect_pinging(&p);
    for (int i = 0; i < 3; i++) {
        usleep(500 * 1000); /* the loop stands still for more than the timeout */
        uv_update_time(&p.loop);
        pass_time(&p, 100);
    }
    assert_int_equal(p.server.closed + p.edge.closed, 0);
    pair_clear(&p);
}

static void explicit_close_delivers_what_was_sent_before(void **state)
{
    (void)state;
    static uint8_t big[CHANNEL_MESSAGE_MAX];
    struct pair p;
    pair_open(&p);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(channel_send(p.edge.channel, big, sizeof big), 0);
    channel_close(p.edge.channel);
    assert_int_equal(p.edge.closed, 0); /* never from inside */
    assert_int_equal(channel_send(p.edge.channel, "x", 1), ERR_CLOSED);
    channel_close(p.edge.channel);
    RUN_UNTIL(&p, p.edge.closed == 1 && p.server.closed == 1);
    assert_int_equal(p.server.messages, 11);
    assert_int_equal(p.edge.why, ERR_CLOSED);
    assert_int_equal(p.server.why, ERR_CLOSED);
    pair_clear(&p);
}

static void close_works_while_the_other_side_is_sending(void **state)
{
    (void)state;
    static uint8_t big[CHANNEL_MESSAGE_MAX];
    struct pair p;
    pair_open(&p);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(channel_send(p.server.channel, big, sizeof big), 0);
        assert_int_equal(channel_send(p.edge.channel, big, sizeof big), 0);
    }
    channel_close(p.edge.channel);
    RUN_UNTIL(&p, p.edge.closed == 1 && p.server.closed == 1);
    assert_int_equal(p.edge.messages, 0); /* no callback after channel_close */
    assert_int_equal(p.server.messages, 11);
    assert_int_equal(p.edge.why, ERR_CLOSED);
    assert_int_equal(p.server.why, ERR_CLOSED);
    pair_clear(&p);
}

static void close_inside_on_open_is_safe_at_both_ends(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct pair p;
        pair_init(&p);
        (side == 0 ? &p.edge : &p.server)->close_on_open = true;
        pair_listen(&p);
        pair_connect(&p);
        RUN_UNTIL(&p, p.edge.closed == 1 && p.server.closed == 1);
        assert_int_equal(p.edge.why, ERR_CLOSED);
        assert_int_equal(p.server.why, ERR_CLOSED);
        assert_int_equal(p.server.messages, side == 0 ? 1 : 0);
        pair_clear(&p);
    }
}

static void close_inside_on_message_ends_the_batch(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p);
    p.server.close_on_message = true;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(channel_send(p.edge.channel, "x", 1), 0);
    RUN_UNTIL(&p, p.edge.closed == 1 && p.server.closed == 1);
    assert_int_equal(p.server.messages, 2);
    assert_int_equal(p.edge.why, ERR_CLOSED);
    pair_clear(&p);
}

static void close_before_it_is_open_calls_back_later(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    pair_listen(&p);
    pair_connect(&p);
    assert_int_equal(channel_send(p.edge.channel, "x", 1), ERR_CLOSED);
    channel_close(p.edge.channel);
    assert_int_equal(p.edge.closed, 0);
    RUN_UNTIL(&p, p.edge.closed == 1);
    assert_int_equal(p.edge.why, ERR_CLOSED);
    assert_int_equal(p.edge.opened, 0);
    pair_clear(&p);
}

static void nobody_listening_is_a_system_error(void **state)
{
    (void)state;
    struct fault fault;
    struct pair p;
    pair_init(&p);
    assert_int_equal(address_parse(&p.address, "127.0.0.1:0", 0, &fault), 0);
    int fd = address_listen(&p.address, false, 1, &fault);
    assert_int_equal(address_of_socket(fd, &p.address), 0);
    close(fd);
    pair_connect(&p);
    RUN_UNTIL(&p, p.edge.closed == 1);
    assert_int_equal(err_kind(p.edge.why), ERR_SYSTEM);
    errno = EBADF; /* what happened since does not matter */
    assert_string_equal(err_string(p.edge.why), "Connection refused");
    p.edge.closed = 0;
    assert_int_equal(address_parse(&p.address, "unix:/nonexistent/keyless", 0, &fault), 0);
    pair_connect(&p);
    RUN_UNTIL(&p, p.edge.closed == 1);
    assert_int_equal(err_kind(p.edge.why), ERR_SYSTEM);
    errno = EBADF;
    assert_string_equal(err_string(p.edge.why), "No such file or directory");
    p.edge.closed = 0;
    p.address = (struct address){.length = sizeof p.address.u};
    pair_connect(&p); /* refused by the kernel at once, still told later */
    RUN_UNTIL(&p, p.edge.closed == 1);
    assert_int_equal(err_kind(p.edge.why), ERR_SYSTEM);
    errno = EBADF;
    assert_string_equal(err_string(p.edge.why), "Invalid argument");
    pair_clear(&p);
}

static void unsent_bytes_are_bounded_and_on_writable_follows(void **state)
{
    (void)state;
    static uint8_t big[CHANNEL_MESSAGE_MAX];
    struct pair p;
    unsigned sent = 0;
    pair_init(&p);
    p.settings.unsent_max = 200000;
    pair_listen(&p);
    pair_connect(&p);
    RUN_UNTIL(&p, p.server.messages == 1);
    while (channel_send(p.edge.channel, big, sizeof big) == 0)
        sent++;
    assert_int_equal(sent, 4); /* three stay below the limit, the fourth reaches it */
    assert_int_equal(channel_send(p.edge.channel, big, 1), ERR_BUSY);
    assert_int_equal(p.edge.writable, 0);
    RUN_UNTIL(&p, p.edge.writable == 1);
    assert_true(channel_unsent(p.edge.channel) < p.settings.unsent_max / 2);
    assert_int_equal(channel_send(p.edge.channel, big, 1), 0);
    RUN_UNTIL(&p, p.server.messages == sent + 2);
    assert_int_equal(p.edge.writable, 1);
    pair_clear(&p);
}

static void drop_names_are_all_there(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DROP_KINDS; i++)
        assert_string_not_equal(channel_drop_name((enum channel_drop)i), "unnamed");
    assert_string_equal(channel_drop_name(DROP_KINDS), "unnamed");
    assert_string_equal(channel_drop_name(DROP_HALF_OPEN), "half_open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_open_agree_on_the_hash_and_echo),
        cmocka_unit_test(a_unix_socket_carries_it_as_well),
        cmocka_unit_test(messages_up_to_the_limit_pass_and_one_byte_more_is_refused),
        cmocka_unit_test(thousands_of_small_messages_come_in_order),
        cmocka_unit_test(rekeying_every_third_message_loses_nothing),
        cmocka_unit_test(keys_change_after_the_interval),
        cmocka_unit_test(a_quiet_channel_is_pinged_and_knows_its_round_trip),
        cmocka_unit_test(silence_beyond_the_idle_timeout_ends_it),
        cmocka_unit_test(pings_keep_both_ends_from_the_idle_timeout),
        cmocka_unit_test(who_was_held_up_asks_before_it_gives_a_channel_up),
        cmocka_unit_test(explicit_close_delivers_what_was_sent_before),
        cmocka_unit_test(close_works_while_the_other_side_is_sending),
        cmocka_unit_test(close_inside_on_open_is_safe_at_both_ends),
        cmocka_unit_test(close_inside_on_message_ends_the_batch),
        cmocka_unit_test(close_before_it_is_open_calls_back_later),
        cmocka_unit_test(nobody_listening_is_a_system_error),
        cmocka_unit_test(unsent_bytes_are_bounded_and_on_writable_follows),
        cmocka_unit_test(drop_names_are_all_there),
    };
    return cmocka_run_group_tests(tests, pair_start_library, NULL);
}
