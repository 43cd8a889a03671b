/* A peer that has authenticated and then breaks the rules of the channel. */
#include "tests/unit/common/channel_peer.h"

static void open_by_hand(struct pair *p, struct peer *peer)
{
    pair_init(p);
    p->listener_settings.channel.ping_interval_ms = 0;
    pair_listen(p);
    peer_shake_hands(p, peer);
    peer_say(peer, 0, "hello", 5);
    RUN_UNTIL(p, p->server.messages == 1);
}

static void unknown_kinds_and_wrong_bodies_end_it(void **state)
{
    (void)state;
    static const struct {
        uint8_t kind;
        size_t length;
    } bad[] = {{5, 0}, {255, 3}, {1, 1}, {2, 1}, {3, 7}, {3, 9}, {3, 0}, {4, 7}, {4, 9}};
    static const uint8_t body[16];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct pair p;
        struct peer peer;
        open_by_hand(&p, &peer);
        peer_say(&peer, bad[i].kind, body, bad[i].length);
        RUN_UNTIL(&p, p.server.closed == 1);
        assert_int_equal(p.server.why, ERR_FORMAT);
        assert_int_equal(p.server.messages, 1);
        close(peer.fd);
        pair_clear(&p);
    }
}

static void a_frame_without_a_kind_ends_it(void **state)
{
    (void)state;
    struct pair p;
    struct peer peer;
    uint8_t frame[FRAME_HEADER_SIZE + NOISE_TAG_SIZE];
    open_by_hand(&p, &peer);
    frame_header(frame, NOISE_TAG_SIZE);
    assert_int_equal(noise_seal(&peer.sending, NULL, 0, frame + FRAME_HEADER_SIZE), 0);
    peer_send(peer.fd, frame, sizeof frame);
    RUN_UNTIL(&p, p.server.closed == 1);
    assert_int_equal(p.server.why, ERR_FORMAT);
    close(peer.fd);
    pair_clear(&p);
}

static void a_ping_is_echoed_and_a_stray_pong_ignored(void **state)
{
    (void)state;
    struct pair p;
    struct peer peer;
    uint8_t plain[64];
    open_by_hand(&p, &peer);
    peer_say(&peer, 4, "stray---", 8);
    peer_say(&peer, 3, "12345678", 8);
    assert_int_equal(peer_hear(&p, &peer, plain, sizeof plain), 9);
    assert_memory_equal(plain,
                        "\x04"
                        "12345678",
                        9);
    assert_int_equal(channel_rtt_ns(p.server.channel), 0);
    assert_int_equal(p.server.closed, 0);
    peer_say(&peer, 2, NULL, 0);
    RUN_UNTIL(&p, p.server.closed == 1);
    assert_int_equal(p.server.why, ERR_CLOSED);
    close(peer.fd);
    pair_clear(&p);
}

static void a_rekey_that_is_announced_but_not_done_ends_it(void **state)
{
    (void)state;
    struct pair p;
    struct peer peer;
    open_by_hand(&p, &peer);
    peer_say(&peer, 1, NULL, 0);
    noise_rekey(&peer.sending);
    peer_say(&peer, 0, "new", 3);
    RUN_UNTIL(&p, p.server.messages == 2);
    peer_say(&peer, 1, NULL, 0);
    peer_say(&peer, 0, "old", 3);
    RUN_UNTIL(&p, p.server.closed == 1);
    assert_int_equal(p.server.messages, 2);
    assert_int_equal(p.server.why, ERR_CRYPTO);
    close(peer.fd);
    pair_clear(&p);
}

/* As many pings as the socket takes, each with the data that lets it pass, without reading one answer. */
static void flood(struct peer *peer, struct buffer *pending)
{
    while (buffer_length(pending) < 60000) {
        uint8_t *room = buffer_reserve(pending, 128);
        assert_non_null(room);
        size_t length = peer_seal(peer, 0, "data", 4, room);
        buffer_commit(pending, length + peer_seal(peer, 3, "12345678", 8, room + length));
    }
    ssize_t sent = send(peer->fd, buffer_bytes(pending), buffer_length(pending), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        buffer_consume(pending, (size_t)sent);
}

static void pings_without_reading_the_answers_are_bounded(void **state)
{
    (void)state;
    struct pair p;
    struct peer peer;
    struct buffer pending = {0};
    int small = 4096;
    size_t most = 0;
    pair_init(&p);
    p.listener_settings.channel.unsent_max = 100000;
    pair_listen(&p);
    peer_shake_hands(&p, &peer);
    assert_int_equal(setsockopt(peer.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    peer_say(&peer, 0, "hello", 5);
    RUN_UNTIL(&p, p.server.messages == 1);
    while (p.server.closed == 0) {
        assert_false(p.expired);
        flood(&peer, &pending);
        uv_run(&p.loop, UV_RUN_NOWAIT);
        if (p.server.channel != NULL && channel_unsent(p.server.channel) > most)
            most = channel_unsent(p.server.channel);
    }
    assert_int_equal(p.server.why, ERR_BUSY);
    assert_true(most <= 100000 + 64);
    buffer_clear(&pending);
    close(peer.fd);
    pair_clear(&p);
}

/* Kinds of frames without data, and how long their bodies are. */
static const struct {
    uint8_t kind;
    size_t length;
} bare[] = {{1, 0}, {3, 8}, {4, 8}};

#define BARE_MAX 256 /* in a second, as PROTOCOL.md has it */

static void say_bare(struct peer *peer, size_t which)
{
    peer_say(peer, bare[which].kind, "12345678", bare[which].length);
    if (bare[which].kind == 1)
        noise_rekey(&peer->sending);
}

static void frames_without_data_are_bounded(void **state)
{
    (void)state;
    for (size_t which = 0; which < sizeof bare / sizeof bare[0]; which++) {
        struct pair p;
        struct peer peer;
        open_by_hand(&p, &peer);
        for (unsigned i = 0; i < 3 * BARE_MAX; i++) /* however the seconds lie */
            say_bare(&peer, which);
        RUN_UNTIL(&p, p.server.closed == 1);
        assert_int_equal(p.server.why, ERR_FORMAT);
        close(peer.fd);
        pair_clear(&p);
    }
}

static void one_frame_without_data_for_each_with_data_always_passes(void **state)
{
    (void)state;
    for (size_t which = 0; which < sizeof bare / sizeof bare[0]; which++) {
        struct pair p;
        struct peer peer;
        open_by_hand(&p, &peer);
        for (unsigned i = 0; i < 4 * BARE_MAX; i++) {
            say_bare(&peer, which);
            peer_say(&peer, 0, "data", 4);
        }
        RUN_UNTIL(&p, p.server.messages == 1 + 4 * BARE_MAX);
        assert_int_equal(p.server.closed, 0);
        close(peer.fd);
        pair_clear(&p);
    }
}

static void as_many_frames_without_data_as_a_second_has_pass_in_the_next(void **state)
{
    (void)state;
    struct pair p;
    struct peer peer;
    open_by_hand(&p, &peer);
    for (unsigned second = 1; second <= 2; second++) {
        for (unsigned i = 0; i < BARE_MAX; i++)
            say_bare(&peer, 2);
        peer_say(&peer, 0, "data", 4);
        RUN_UNTIL(&p, p.server.messages == 1 + second);
        uint64_t until = uv_now(&p.loop) + 1000;
        SPIN_UNTIL(&p, usleep(1000), uv_now(&p.loop) >= until);
    }
    assert_int_equal(p.server.closed, 0);
    close(peer.fd);
    pair_clear(&p);
}

/* Of what waits in the socket one turn of the loop takes a buffer, and the next goes on, until all is read.
 */
static void a_turn_of_the_loop_takes_one_buffer_of_a_flood(void **state)
{
    (void)state;
    static const uint8_t body[128];
    struct pair p;
    struct peer peer;
    struct buffer pending = {0};
    uint64_t count = 0, most = 0;
    int large = 1 << 20;
    open_by_hand(&p, &peer);
    assert_int_equal(setsockopt(peer.fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof large), 0);
    for (; buffer_length(&pending) < 4u << 20; count++) {
        uint8_t *room = buffer_reserve(&pending, 256);
        assert_non_null(room);
        buffer_commit(&pending, peer_seal(&peer, 0, body, sizeof body, room));
    }
    uint64_t frame = buffer_length(&pending) / count;
    while (p.server.messages < 1 + count) {
        uint64_t before = p.server.messages;
        ssize_t sent = 0;
        assert_false(p.expired);
        while (buffer_length(&pending) > 0 &&
               (sent = send(peer.fd, buffer_bytes(&pending), buffer_length(&pending),
                            MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
            buffer_consume(&pending, (size_t)sent);
        uv_run(&p.loop, UV_RUN_NOWAIT);
        if (p.server.messages - before > most)
            most = p.server.messages - before;
    }
    assert_in_range(most, 1, 65536 / frame + 1);
    assert_int_equal(p.server.closed, 0);
    buffer_clear(&pending);
    close(peer.fd);
    pair_clear(&p);
}

static void a_peer_that_never_closes_back_holds_it_for_a_second_only(void **state)
{
    (void)state;
    struct pair p;
    struct peer peer;
    open_by_hand(&p, &peer);
    uint64_t start = uv_now(&p.loop);
    channel_close(p.server.channel);
    RUN_UNTIL(&p, p.server.closed == 1);
    assert_int_equal(p.server.why, ERR_CLOSED);
    assert_in_range(uv_now(&p.loop) - start, 900, 5000);
    close(peer.fd);
    pair_clear(&p);
}

static void a_process_that_was_held_up_reads_before_it_judges(void **state)
{
    (void)state;
    struct pair p;
    struct peer peer;
    pair_init(&p);
    p.listener_settings.channel.ping_interval_ms = 0;
    p.listener_settings.channel.idle_timeout_ms = 100;
    pair_listen(&p);
    peer_shake_hands(&p, &peer);
    peer_say(&peer, 0, "hello", 5);
    RUN_UNTIL(&p, p.server.messages == 1);
    peer_say(&peer, 0, "still here", 10);
    usleep(200000); /* the hold-up: the timeout passes while the message waits in the socket */
    RUN_UNTIL(&p, p.server.messages == 2 || p.server.closed == 1);
    assert_int_equal(p.server.closed, 0);
    RUN_UNTIL(&p, p.server.closed == 1); /* and then real silence */
    assert_int_equal(p.server.why, ERR_TIMEOUT);
    close(peer.fd);
    pair_clear(&p);
}

/* One byte of a frame now and then, its length promising many: no whole message comes, and it ends in time.
 */
static void a_frame_that_drips_does_not_keep_it_open(void **state)
{
    (void)state;
    struct pair p;
    struct peer peer;
    pair_init(&p);
    p.listener_settings.channel.ping_interval_ms = 0;
    p.listener_settings.channel.idle_timeout_ms = 300;
    pair_listen(&p);
    peer_shake_hands(&p, &peer);
    peer_say(&peer, 0, "hello", 5);
    RUN_UNTIL(&p, p.server.messages == 1);
    (void)!send(peer.fd, "\x40\0", 2, MSG_NOSIGNAL);
    uint64_t sent = 0, until = uv_hrtime() + 10000000000u;
    for (; p.server.closed == 0 && sent < 0x4000 && uv_hrtime() < until; sent++) {
        (void)!send(peer.fd, "x", 1, MSG_NOSIGNAL);
        uv_run(&p.loop, UV_RUN_NOWAIT);
        usleep(2000);
    }
    assert_int_equal(p.server.closed, 1);
    assert_int_equal(p.server.why, ERR_TIMEOUT);
    close(peer.fd);
    pair_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_kinds_and_wrong_bodies_end_it),
        cmocka_unit_test(a_frame_without_a_kind_ends_it),
        cmocka_unit_test(a_ping_is_echoed_and_a_stray_pong_ignored),
        cmocka_unit_test(a_rekey_that_is_announced_but_not_done_ends_it),
        cmocka_unit_test(pings_without_reading_the_answers_are_bounded),
        cmocka_unit_test(frames_without_data_are_bounded),
        cmocka_unit_test(one_frame_without_data_for_each_with_data_always_passes),
        cmocka_unit_test(as_many_frames_without_data_as_a_second_has_pass_in_the_next),
        cmocka_unit_test(a_turn_of_the_loop_takes_one_buffer_of_a_flood),
        cmocka_unit_test(a_process_that_was_held_up_reads_before_it_judges),
        cmocka_unit_test(a_frame_that_drips_does_not_keep_it_open),
        cmocka_unit_test(a_peer_that_never_closes_back_holds_it_for_a_second_only),
    };
    return cmocka_run_group_tests(tests, pair_start_library, NULL);
}
