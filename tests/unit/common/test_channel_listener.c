/* What strangers and misconfigured edges meet at the accepting side: silence, and the same silence. */
#include "tests/unit/common/channel_peer.h"

static unsigned drops_in_all(const struct pair *p)
{
    unsigned all = 0;
    for (size_t i = 0; i < DROP_KINDS; i++)
        all += p->drops[i];
    return all;
}

static void listen_only(struct pair *p)
{
    pair_init(p);
    p->listener_settings.handshakes_per_second = 0;
    pair_listen(p);
}

/* The connection of a stranger who sends BYTES ended in an orderly way and without a byte. */
static void assert_silence(struct pair *p, const void *bytes, size_t length)
{
    int fd = peer_connect(&p->address);
    peer_send(fd, bytes, length);
    struct fate fate = peer_fate(p, fd);
    assert_int_equal(fate.bytes, 0);
    assert_int_equal(fate.number, 0);
}

static void junk_and_an_unknown_edge_see_the_same(void **state)
{
    (void)state;
    struct pair p;
    struct identity stranger;
    struct noise_handshake h;
    uint8_t message[NOISE_MESSAGE1_SIZE];
    listen_only(&p);
    random_bytes(message, sizeof message);
    assert_silence(&p, message, sizeof message);
    assert_int_equal(p.drops[DROP_HANDSHAKE], 1);
    assert_false(p.drop_had_key);
    identity_generate(&stranger);
    peer_message1(&p, &stranger, &h, message);
    assert_silence(&p, message, sizeof message);
    assert_int_equal(p.drops[DROP_UNKNOWN], 1);
    assert_true(p.drop_had_key);
    p.refuse = true;
    peer_message1(&p, &p.edge_id, &h, message);
    assert_silence(&p, message, sizeof message);
    assert_int_equal(p.drops[DROP_UNKNOWN], 2);
    assert_int_equal(drops_in_all(&p), 3);
    assert_int_equal(p.server.opened, 0);
    pair_clear(&p);
}

static void more_than_message_1_is_dropped_without_a_reset(void **state)
{
    (void)state;
    static uint8_t junk[100000];
    struct pair p;
    struct noise_handshake h;
    listen_only(&p);
    random_bytes(junk, sizeof junk);
    assert_silence(&p, junk, sizeof junk);
    peer_message1(&p, &p.edge_id, &h, junk);
    assert_silence(&p, junk, NOISE_MESSAGE1_SIZE + 1);
    assert_int_equal(p.drops[DROP_HANDSHAKE], 2);
    assert_int_equal(p.lookups, 0);
    pair_clear(&p);
}

static void message_1_byte_by_byte_is_answered(void **state)
{
    (void)state;
    struct pair p;
    struct noise_handshake h;
    uint8_t one[NOISE_MESSAGE1_SIZE], two[NOISE_MESSAGE2_SIZE];
    listen_only(&p);
    peer_message1(&p, &p.edge_id, &h, one);
    int fd = peer_connect(&p.address);
    for (size_t i = 0; i < sizeof one; i++) {
        struct fate fate = {.bytes = 0};
        assert_false(peer_ended(fd, &fate));
        assert_int_equal(fate.bytes, 0);
        peer_send(fd, one + i, 1);
        uv_run(&p.loop, UV_RUN_NOWAIT);
    }
    peer_read(&p, fd, two, sizeof two);
    assert_int_equal(noise_read_message2(&h, p.psk, two, sizeof two, NULL), 0);
    assert_int_equal(p.server.opened, 0); /* nothing is done before the first transport message */
    close(fd);
    RUN_UNTIL(&p, drops_in_all(&p) == 1);
    assert_int_equal(p.drops[DROP_PSK], 1);
    pair_clear(&p);
}

static void who_leaves_before_message_1_is_a_cut(void **state)
{
    (void)state;
    struct pair p;
    listen_only(&p);
    close(peer_connect(&p.address));
    RUN_UNTIL(&p, drops_in_all(&p) == 1);
    int fd = peer_connect(&p.address);
    peer_send(fd, "short", 5);
    shutdown(fd, SHUT_WR);
    struct fate fate = peer_fate(&p, fd);
    assert_int_equal(fate.bytes + (size_t)fate.number, 0);
    RUN_UNTIL(&p, p.drops[DROP_CUT] == 2);
    pair_clear(&p);
}

static void slow_strangers_meet_the_deadline_at_every_step(void **state)
{
    (void)state;
    struct pair p;
    struct peer peer;
    pair_init(&p);
    p.listener_settings.channel.connect_timeout_ms = 300;
    pair_listen(&p);
    assert_silence(&p, "", 0);
    assert_silence(&p, "slow", 4);
    peer_shake_hands(&p, &peer); /* and then no transport message */
    struct fate fate = peer_fate(&p, peer.fd);
    assert_int_equal(fate.bytes + (size_t)fate.number, 0);
    RUN_UNTIL(&p, p.drops[DROP_DEADLINE] == 3);
    assert_int_equal(drops_in_all(&p), 3);
    pair_clear(&p);
}

static void a_replayed_message_1_opens_nothing(void **state)
{
    (void)state;
    struct pair p;
    struct noise_handshake h;
    uint8_t one[NOISE_MESSAGE1_SIZE], two[NOISE_MESSAGE2_SIZE], frame[64];
    listen_only(&p);
    peer_message1(&p, &p.edge_id, &h, one);
    for (unsigned i = 0; i < 2; i++) {
        int fd = peer_connect(&p.address);
        peer_send(fd, one, sizeof one);
        peer_read(&p, fd, two, sizeof two);
        random_bytes(frame, sizeof frame);
        frame_header(frame, sizeof frame - FRAME_HEADER_SIZE);
        peer_send(fd, frame, sizeof frame);
        struct fate fate = peer_fate(&p, fd);
        assert_int_equal(fate.bytes + (size_t)fate.number, 0);
        RUN_UNTIL(&p, p.drops[DROP_PSK] == i + 1);
        assert_true(p.drop_had_key);
    }
    assert_int_equal(p.server.opened, 0);
    assert_int_equal(p.server.closed, 0);
    pair_clear(&p);
}

/* An honest edge with one thing wrong: what it hears and what the server counts. */
static void assert_fails(struct pair *p, int why, enum channel_drop drop)
{
    pair_listen(p);
    pair_connect(p);
    RUN_UNTIL(p, p->edge.closed == 1 && drops_in_all(p) == 1);
    assert_int_equal(p->edge.opened, 0);
    assert_int_equal(p->edge.why, why);
    assert_int_equal(p->drops[drop], 1);
    assert_int_equal(p->server.opened + p->server.closed, 0);
    pair_clear(p);
}

static void an_edge_with_another_psk_notices_and_is_counted(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    p.server_psk[31] ^= 1;
    assert_fails(&p, ERR_CRYPTO, DROP_PSK);
}

static void an_edge_with_another_server_key_meets_silence(void **state)
{
    (void)state;
    struct pair p;
    struct identity other;
    pair_init(&p);
    identity_generate(&other);
    memcpy(p.server_key, other.public, sizeof p.server_key);
    assert_fails(&p, ERR_CUT, DROP_HANDSHAKE);
}

static void an_unknown_edge_meets_silence(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    p.refuse = true;
    assert_fails(&p, ERR_CUT, DROP_UNKNOWN);
}

static void an_edge_gives_up_on_a_silent_server(void **state)
{
    (void)state;
    struct pair p;
    struct fault fault;
    pair_init(&p);
    p.settings.connect_timeout_ms = 50;
    assert_int_equal(address_parse(&p.address, "127.0.0.1:0", 0, &fault), 0);
    int fd = address_listen(&p.address, false, 8, &fault);
    assert_int_equal(address_of_socket(fd, &p.address), 0);
    pair_connect(&p);
    RUN_UNTIL(&p, p.edge.closed == 1);
    assert_int_equal(p.edge.why, ERR_TIMEOUT);
    close(fd);
    pair_clear(&p);
}

static void half_open_connections_are_capped_and_the_oldest_makes_room(void **state)
{
    (void)state;
    struct pair p;
    int fd[4];
    pair_init(&p);
    p.listener_settings.half_open_max = 3;
    p.listener_settings.handshakes_per_second = 0;
    pair_listen(&p);
    for (size_t i = 0; i < 4; i++)
        fd[i] = peer_connect(&p.address);
    RUN_UNTIL(&p, p.drops[DROP_HALF_OPEN] == 1);
    struct fate fate = peer_fate(&p, fd[0]);
    assert_int_equal(fate.bytes + (size_t)fate.number, 0);
    pair_connect(&p); /* an honest edge gets the next one's place, and gives it back once it is open */
    RUN_UNTIL(&p, p.server.messages == 1);
    fate = peer_fate(&p, fd[1]);
    assert_int_equal(fate.bytes + (size_t)fate.number, 0);
    assert_int_equal(p.drops[DROP_HALF_OPEN], 2);
    fd[0] = peer_connect(&p.address);
    close(fd[0]);
    RUN_UNTIL(&p, p.drops[DROP_CUT] == 1);
    close(fd[2]);
    close(fd[3]);
    RUN_UNTIL(&p, p.drops[DROP_CUT] == 3);
    assert_int_equal(p.drops[DROP_HALF_OPEN], 2);
    pair_clear(&p);
}

static void one_address_has_a_budget_of_handshakes(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    p.listener_settings.handshakes_per_second = 5;
    pair_listen(&p);
    for (unsigned i = 0; i < 20; i++)
        close(peer_connect(&p.address));
    RUN_UNTIL(&p, drops_in_all(&p) == 20);
    assert_true(p.drops[DROP_BUDGET] >= 10); /* some come back while the test runs */
    assert_true(p.drops[DROP_CUT] >= 5);
    pair_clear(&p);
}

static void closing_the_listener_keeps_open_channels_and_ends_the_others_quietly(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p);
    int fd = peer_connect(&p.address);
    for (int i = 0; i < 3; i++)
        uv_run(&p.loop, UV_RUN_NOWAIT); /* accepted, half-open */
    channel_listener_close(p.listener);
    p.listener = NULL;
    struct fate fate = peer_fate(&p, fd);
    assert_int_equal(fate.bytes, 0);
    assert_int_equal(drops_in_all(&p), 0);
    p.server.echo = true;
    assert_int_equal(channel_send(p.edge.channel, "still", 5), 0);
    RUN_UNTIL(&p, p.edge.messages == 1);
    pair_clear(&p);
    channel_listener_close(NULL);
}

struct answers {
    int answer;
    unsigned asked;
};

static int answer_check(const uint8_t key[static NOISE_KEY_SIZE], const struct address *from, void *user)
{
    struct answers *answers = user;
    (void)key;
    (void)from;
    answers->asked++;
    return answers->answer;
}

/* One connection that has sent nothing and one that was looked up; only the second is asked about. */
static void who_was_looked_up_is_reviewed(void **state)
{
    (void)state;
    const struct {
        int answer;
        enum channel_drop drop;
    } reviews[] = {{0, DROP_KINDS}, {ERR_REFUSED, DROP_UNKNOWN}, {ERR_CRYPTO, DROP_PSK}};
    for (size_t i = 0; i < sizeof reviews / sizeof reviews[0]; i++) {
        struct pair p;
        struct noise_handshake h;
        struct answers answers = {.answer = reviews[i].answer};
        struct fate fate = {.bytes = 0};
        uint8_t one[NOISE_MESSAGE1_SIZE], two[NOISE_MESSAGE2_SIZE];
        listen_only(&p);
        int idle = peer_connect(&p.address), fd = peer_connect(&p.address);
        peer_message1(&p, &p.edge_id, &h, one);
        peer_send(fd, one, sizeof one);
        peer_read(&p, fd, two, sizeof two);
        channel_listener_review(p.listener, answer_check, &answers);
        assert_int_equal(answers.asked, 1);
        if (answers.answer != 0) {
            RUN_UNTIL(&p, drops_in_all(&p) == 1);
            assert_int_equal(p.drops[reviews[i].drop], 1);
            assert_true(p.drop_had_key);
        } else {
            for (int turn = 0; turn < 3; turn++)
                uv_run(&p.loop, UV_RUN_NOWAIT);
            assert_int_equal(drops_in_all(&p), 0);
            assert_false(peer_ended(fd, &fate));
        }
        assert_false(peer_ended(idle, &fate));
        close(idle);
        close(fd);
        pair_clear(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(junk_and_an_unknown_edge_see_the_same),
        cmocka_unit_test(more_than_message_1_is_dropped_without_a_reset),
        cmocka_unit_test(message_1_byte_by_byte_is_answered),
        cmocka_unit_test(who_leaves_before_message_1_is_a_cut),
        cmocka_unit_test(slow_strangers_meet_the_deadline_at_every_step),
        cmocka_unit_test(a_replayed_message_1_opens_nothing),
        cmocka_unit_test(an_edge_with_another_psk_notices_and_is_counted),
        cmocka_unit_test(an_edge_with_another_server_key_meets_silence),
        cmocka_unit_test(an_unknown_edge_meets_silence),
        cmocka_unit_test(an_edge_gives_up_on_a_silent_server),
        cmocka_unit_test(half_open_connections_are_capped_and_the_oldest_makes_room),
        cmocka_unit_test(one_address_has_a_budget_of_handshakes),
        cmocka_unit_test(who_was_looked_up_is_reviewed),
        cmocka_unit_test(closing_the_listener_keeps_open_channels_and_ends_the_others_quietly),
    };
    return cmocka_run_group_tests(tests, pair_start_library, NULL);
}
