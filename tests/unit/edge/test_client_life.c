/* The life of a request and of the client: deadlines, cancelling, submitting from inside, closing. */
#include "tests/unit/edge/client_rig.h"

static void a_deadline_ends_a_request_on_time(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask asks[5];
    rig->peers[0].habit = HOLDS;
    for (int i = 0; i < 5; i++) /* the later submitted, the earlier due */
        ask_start(&asks[i], rig, (uint64_t)(1200 - 50 * i));
    for (int i = 4; i >= 0; i--) {
        RIG_WAIT(rig, asks[i].answers);
        assert_failed(&asks[i], STATUS_UNAVAILABLE);
        assert_false(asks[i].request.answered);
        uint64_t late = asks[i].request.answered_ns - asks[i].request.deadline_ns;
        assert_true((int64_t)late >= 0);
        assert_true(late < 2000 * (uint64_t)MS); /* about 1 ms; generous to a loaded machine */
        assert_true(i == 4 || asks[i + 1].request.answered_ns <= asks[i].request.answered_ns);
    }
    assert_int_equal(count_of(&rig->stats[0].timeouts), 5);
    peer_release(&rig->peers[0]);
    RIG_WAIT(rig, count_of(&rig->stats[0].stray) == 5);
    rig_free(rig);
}

static void a_deadline_in_the_past_ends_at_once_and_is_never_sent(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask ask, good;
    ask_init(&ask, rig, OP_SIGN_TLS13, 0);
    ask.request.deadline_ns = 1;
    assert_int_equal(client_submit(rig->client, &ask.request), 0);
    assert_int_equal(ask.answers, 0);
    ask_start(&good, rig, LONG_MS);
    RIG_WAIT(rig, ask.answers && good.answers);
    assert_failed(&ask, STATUS_UNAVAILABLE);
    assert_answered(&good);
    assert_int_equal(rig->peers[0].requests, 1);
    rig_free(rig);
}

static void a_deadline_ends_a_request_that_waits_for_a_server(void **state)
{
    (void)state;
    struct rig *rig = rig_new(2);
    struct ask ask;
    peer_stop(&rig->peers[0], false);
    peer_stop(&rig->peers[1], false);
    rig->client = client_new(&rig->loop, &rig->settings);
    ask_start(&ask, rig, 60);
    RIG_WAIT(rig, ask.answers);
    assert_failed(&ask, STATUS_UNAVAILABLE);
    assert_int_equal(ask.request.tries, 0);
    assert_int_equal(ask.request.sent_ns, 0);
    rig_free(rig);
}

/* The thread was held up while the answer came: by a stopped process, or by much work in one turn of the
 * loop. */
static void an_answer_that_is_there_comes_before_the_deadline(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct peer *peer = &rig->peers[0];
    struct ask ask;
    peer->habit = HOLDS;
    ask_start(&ask, rig, 2000);
    RIG_WAIT(rig, peer->held_count == 1);
    peer_release(peer);
    channel_flush(peer->channels[0]); /* into the edge's socket */
    while (clock_ns() < ask.request.deadline_ns + 20 * (uint64_t)MS)
        usleep(10000);
    RIG_WAIT(rig, ask.answers);
    assert_answered(&ask);
    assert_int_equal(count_of(&rig->stats[0].timeouts), 0);
    rig_free(rig);
}

static void twenty_thousand_deadlines_are_kept(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    const size_t count = 20000;
    rig->peers[0].silent = true;
    rig->client = client_new(&rig->loop, &rig->settings);
    struct ask *asks = calloc(count, sizeof *asks);
    for (size_t i = 0; i < count; i++)
        ask_start(&asks[i], rig, 100 + i % 100);
    assert_int_equal(route_in_flight(&rig->client->route), count);
    RIG_WAIT(rig, route_in_flight(&rig->client->route) == 0);
    for (size_t i = 0; i < count; i++) {
        assert_failed(&asks[i], STATUS_UNAVAILABLE);
        assert_true(asks[i].request.answered_ns >= asks[i].request.deadline_ns);
    }
    free(asks);
    rig_free(rig);
}

static void the_clients_own_limit_says_busy(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct ask asks[4];
    rig->settings.in_flight_max = 3;
    rig->client = client_new(&rig->loop, &rig->settings);
    for (int i = 0; i < 3; i++)
        ask_start(&asks[i], rig, LONG_MS);
    ask_init(&asks[3], rig, OP_SIGN_TLS13, LONG_MS);
    assert_int_equal(client_submit(rig->client, &asks[3].request), ERR_BUSY);
    RIG_WAIT(rig, answered(asks, 3) == 3);
    assert_int_equal(asks[3].answers, 0);
    assert_int_equal(client_submit(rig->client, &asks[3].request), 0);
    RIG_WAIT(rig, asks[3].answers);
    assert_answered(&asks[3]);
    rig_free(rig);
}

static void cancelled_in_every_state_it_is_never_answered(void **state)
{
    (void)state;
    struct rig *rig = rig_new(2);
    struct ask never = {0}, waiting, queued, sent, twice, done;
    rig->client = client_new(&rig->loop, &rig->settings);
    client_cancel(rig->client, &never.request);
    ask_start(&waiting, rig, LONG_MS); /* no server yet */
    client_cancel(rig->client, &waiting.request);
    RIG_WAIT(rig, rig->usable == 2);
    ask_start(&queued, rig, LONG_MS); /* not in a batch yet */
    client_cancel(rig->client, &queued.request);
    ask_start(&done, rig, LONG_MS);
    RIG_WAIT(rig, done.answers);
    assert_int_equal(rig->peers[0].requests + rig->peers[1].requests, 1);
    client_cancel(rig->client, &done.request); /* after its answer */

    rig->peers[0].habit = rig->peers[1].habit = HOLDS;
    ask_start(&sent, rig, LONG_MS); /* at a server */
    ask_start(&twice, rig, 6000);   /* at both servers from the half of its time on */
    RIG_WAIT(rig, twice.request.tries == 2);
    client_cancel(rig->client, &sent.request);
    client_cancel(rig->client, &twice.request);
    client_cancel(rig->client, &twice.request);
    assert_int_equal(route_in_flight(&rig->client->route), 0);
    memset(&sent, 0xee, sizeof sent); /* nobody may look at it again */
    memset(&twice, 0xee, sizeof twice);
    RIG_WAIT(rig, rig->peers[0].held_count + rig->peers[1].held_count == 3);
    peer_release(&rig->peers[0]);
    peer_release(&rig->peers[1]);
    RIG_WAIT(rig, count_of(&rig->stats[0].stray) + count_of(&rig->stats[1].stray) == 3);
    assert_int_equal(waiting.answers + queued.answers, 0);
    assert_int_equal(done.answers, 1);
    rig_free(rig);
}

static void submit_again(struct ask *ask)
{
    if (ask->answers < 50) {
        random_bytes(ask->request.operation.u.sign_tls13.hash, 32);
        ask->request.deadline_ns = clock_ns() + LONG_MS * (uint64_t)MS;
        assert_int_equal(client_submit(ask->rig->client, &ask->request), 0);
    }
}

static void a_request_may_be_submitted_again_inside_its_answer(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask ask;
    ask_init(&ask, rig, OP_SIGN_TLS13, LONG_MS);
    ask.then = submit_again;
    assert_int_equal(client_submit(rig->client, &ask.request), 0);
    RIG_WAIT(rig, ask.answers == 50);
    ask.answers = 1;
    assert_answered(&ask);
    assert_int_equal(rig->peers[0].requests, 50);
    rig_free(rig);
}

static void free_itself(struct ask *ask)
{
    ask->rig->changes += 1000;
    free(ask);
}

static void a_request_may_be_freed_inside_its_answer(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(2);
    for (int i = 0; i < 200; i++) {
        struct ask *ask = malloc(sizeof *ask);
        ask_init(ask, rig, OP_SIGN_TLS13, i % 2 == 0 ? LONG_MS : 0); /* by an answer, by the deadline */
        ask->then = free_itself;
        assert_int_equal(client_submit(rig->client, &ask->request), 0);
    }
    RIG_WAIT(rig, rig->changes >= 200000);
    rig_free(rig);
}

static struct ask neighbours[100];

static void cancel_the_neighbours(struct ask *ask)
{
    for (size_t i = 0; i < 100; i++)
        client_cancel(ask->rig->client, &neighbours[i].request);
}

static void an_answer_may_cancel_the_others_of_its_message(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask last;
    for (int i = 0; i < 100; i++) {
        ask_init(&neighbours[i], rig, OP_SIGN_TLS13, LONG_MS);
        neighbours[i].then = cancel_the_neighbours;
        assert_int_equal(client_submit(rig->client, &neighbours[i].request), 0);
    }
    RIG_WAIT(rig, answered(neighbours, 100) == 1);
    ask_start(&last, rig, LONG_MS);
    RIG_WAIT(rig, last.answers);
    assert_int_equal(answered(neighbours, 100), 1);
    rig_free(rig);
}

static void close_the_client(struct ask *ask)
{
    client_close(ask->rig->client);
    ask->rig->client = NULL;
}

static void the_client_may_be_closed_inside_an_answer(void **state)
{
    (void)state;
    static const enum habit habits[] = {ANSWERS, WRONG_LENGTH, CUTS, GARBAGE, HOLDS};
    for (size_t h = 0; h < sizeof habits / sizeof habits[0]; h++) {
        struct rig *rig = rig_connected(2);
        rig->peers[0].habit = rig->peers[1].habit = habits[h];
        struct ask *asks = calloc(150, sizeof *asks);
        for (size_t i = 0; i < 150; i++) {
            ask_init(&asks[i], rig, OP_SIGN_TLS13, 100);
            asks[i].then = i == 70 ? close_the_client : NULL;
            assert_int_equal(client_submit(rig->client, &asks[i].request), 0);
        }
        RIG_WAIT(rig, answered(asks, 150) == 150);
        for (size_t i = 0; i < 150; i++)
            assert_int_equal(asks[i].answers, 1);
        rig_free(rig);
        free(asks);
    }
}

static void refused_after_close(struct ask *ask)
{
    struct ask another;

    ask_init(&another, ask->rig, OP_SIGN_TLS13, 1000);
    assert_int_equal(client_submit(ask->rig->client, &another.request), ERR_CLOSED);
    assert_int_equal(client_keys(ask->rig->client, 1000, NULL, NULL), ERR_CLOSED);
}

static void closing_answers_everything_that_is_open(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(2);
    rig->peers[0].habit = rig->peers[1].habit = HOLDS;
    struct ask *asks = ask_many(rig, 300, LONG_MS);
    RIG_WAIT(rig, rig->peers[0].held_count + rig->peers[1].held_count == 300);
    struct ask *waiting = ask_many(rig, 300, LONG_MS);
    waiting[7].then = refused_after_close;
    client_close(rig->client);
    rig->client = NULL;
    for (size_t i = 0; i < 300; i++) {
        assert_failed(&asks[i], STATUS_UNAVAILABLE);
        assert_failed(&waiting[i], STATUS_UNAVAILABLE);
    }
    RIG_WAIT(rig, rig->peers[0].channel_count + rig->peers[1].channel_count == 0);
    assert_int_equal(rig->peers[0].closed, ERR_CLOSED); /* in good order, not a cut */
    free(asks);
    free(waiting);
    rig_free(rig);
}

static void closing_while_connecting_leaves_nothing(void **state)
{
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        struct rig *rig = rig_new(3);
        struct ask ask;
        rig->client = client_new(&rig->loop, &rig->settings);
        ask_start(&ask, rig, LONG_MS);
        for (int i = 0; i < turns; i++)
            uv_run(&rig->loop, UV_RUN_NOWAIT);
        client_close(rig->client);
        rig->client = NULL;
        assert_int_equal(ask.answers, 1);
        rig_free(rig);
    }
}

static void a_client_without_servers_only_times_out(void **state)
{
    (void)state;
    struct rig *rig = rig_new(0);
    struct ask ask;
    rig->client = client_new(&rig->loop, &rig->settings);
    ask_start(&ask, rig, 30);
    RIG_WAIT(rig, ask.answers);
    assert_failed(&ask, STATUS_UNAVAILABLE);
    assert_int_equal(rig->client->pool.usable, 0);
    client_close(NULL);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_ends_a_request_on_time),
        cmocka_unit_test(a_deadline_in_the_past_ends_at_once_and_is_never_sent),
        cmocka_unit_test(a_deadline_ends_a_request_that_waits_for_a_server),
        cmocka_unit_test(an_answer_that_is_there_comes_before_the_deadline),
        cmocka_unit_test(twenty_thousand_deadlines_are_kept),
        cmocka_unit_test(the_clients_own_limit_says_busy),
        cmocka_unit_test(cancelled_in_every_state_it_is_never_answered),
        cmocka_unit_test(a_request_may_be_submitted_again_inside_its_answer),
        cmocka_unit_test(a_request_may_be_freed_inside_its_answer),
        cmocka_unit_test(an_answer_may_cancel_the_others_of_its_message),
        cmocka_unit_test(the_client_may_be_closed_inside_an_answer),
        cmocka_unit_test(closing_answers_everything_that_is_open),
        cmocka_unit_test(closing_while_connecting_leaves_nothing),
        cmocka_unit_test(a_client_without_servers_only_times_out),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
