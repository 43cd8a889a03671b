/* The client and names: every address of one is tried, what is not known yet is waited for. */
#include "edge/keyclient/targets.h"
#include "tests/unit/common/addresses.h"
#include "tests/unit/edge/client_rig.h"

/* The rig's first server has the name "keys.example.test" from now on. */
static void name_first(struct rig *rig, struct names *names)
{
    struct fault fault = {0};
    char text[64];

    names_init(names);
    snprintf(text, sizeof text, "keys.example.test:%u", (unsigned)ntohs(rig->peers[0].address.u.v4.sin_port));
    assert_int_equal(names_add(names, &rig->servers[0].endpoint, strdup(text), 0, &fault), 0);
    rig->settings.names = names;
}

static void end_named(struct rig *rig, struct names *names)
{
    const char *text = rig->servers[0].endpoint.text;

    rig_free(rig);
    free((void *)(uintptr_t)text);
    names_clear(names);
}

static struct address loopback(uint8_t last)
{
    return v4(0x7f000000u + last);
}

static void the_next_address_is_tried_when_one_is_dead(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct names names;
    struct address both[2] = {loopback(77), loopback(1)};
    struct ask ask;
    char address[ADDRESS_TEXT_SIZE];
    struct name_answer known;

    name_first(rig, &names);
    names_put(&names, 0, both, 2, "", clock_ns());
    rig->settings.backoff_min_ms = rig->settings.backoff_max_ms = 3600000; /* no round but the first */
    rig->client = client_new(&rig->loop, &rig->settings);
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, ask.answers == 1);
    assert_answered(&ask);
    assert_true(count_of(&rig->stats[0].failed) >= 1); /* more when the other takes long on a busy machine */
    endpoint_get(&rig->servers[0].endpoint, &known);
    assert_non_null(strstr(address_text(&known.addresses[0], address), "127.0.0.1:"));
    end_named(rig, &names);
}

static void a_name_that_is_not_known_yet_is_connected_to_when_it_is(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct names names;
    struct address address = loopback(1);
    struct ask ask;

    name_first(rig, &names);
    rig->client = client_new(&rig->loop, &rig->settings);
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, count_of(&rig->stats[0].failed) >= 2);
    assert_int_equal(ask.answers, 0);
    names_put(&names, 0, &address, 1, "", clock_ns());
    RIG_WAIT(rig, ask.answers == 1);
    assert_answered(&ask);
    end_named(rig, &names);
}

static void on_ask(size_t number, const char *host, void *user)
{
    unsigned *asked = user;

    (void)number, (void)host;
    ++*asked;
}

static void on_moment(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* A client whose only server has a name that nobody knows yet, and a request that waits; how often the name
 * was asked for stands in ASKED. */
static struct rig *ask_by_unknown_name(struct names *names, struct ask *ask, unsigned *asked)
{
    struct rig *rig = rig_new(1);
    name_first(rig, names);
    names->ask = on_ask;
    names->user = asked;
    rig->settings.fail_when_gone = true;
    rig->client = client_new(&rig->loop, &rig->settings);
    ask_start(ask, rig, LONG_MS);
    return rig;
}

/* A name server that takes longer than an attempt waits when it has an older answer. */
static void the_first_look_up_takes_no_part_of_the_time_to_connect(void **state)
{
    (void)state;
    struct names names;
    struct address address = loopback(1);
    struct ask ask;
    unsigned asked = 0;
    bool over = false;
    uv_timer_t moment = {.data = &over};

    struct rig *rig = ask_by_unknown_name(&names, &ask, &asked);
    uv_timer_init(&rig->loop, &moment);
    uv_timer_start(&moment, on_moment, 700, 0);
    RIG_WAIT(rig, over);
    assert_int_equal(ask.answers, 0); /* nobody knows yet whether the server is gone */
    assert_int_equal(count_of(&rig->stats[0].failed), 0);
    assert_int_equal(asked, 1);
    names_put(&names, 0, &address, 1, "", clock_ns());
    RIG_WAIT(rig, ask.answers == 1);
    assert_answered(&ask);
    uv_close((uv_handle_t *)&moment, NULL);
    end_named(rig, &names);
}

static void a_server_is_gone_when_its_name_is_not_found(void **state)
{
    (void)state;
    struct names names;
    struct ask ask;
    unsigned asked = 0;

    struct rig *rig = ask_by_unknown_name(&names, &ask, &asked);
    names_put(&names, 0, NULL, 0, "there is no such name", clock_ns());
    RIG_WAIT(rig, ask.answers == 1);
    assert_failed(&ask, STATUS_UNAVAILABLE);
    end_named(rig, &names);
}

static void a_name_that_moves_is_followed(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct names names;
    struct address before = loopback(77), after = loopback(1);
    struct ask ask;

    name_first(rig, &names);
    names_put(&names, 0, &before, 1, "", clock_ns());
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, count_of(&rig->stats[0].failed) >= 1);
    names_put(&names, 0, &after, 1, "", clock_ns());
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, ask.answers == 1);
    assert_answered(&ask);
    end_named(rig, &names);
}

static void none_of_several_addresses_takes_long_at_first(void **state)
{
    (void)state;
    struct names names;
    struct endpoint endpoint;
    struct targets t = {0};
    struct address several[3] = {loopback(1), loopback(2), loopback(3)};

    names_init(&names);
    assert_int_equal(names_add(&names, &endpoint, "keys.example.test:1", 0, NULL), 0);
    names_put(&names, 0, several, 3, "", 1);
    targets_begin(&t, &endpoint);
    for (int i = 0; i < 3; i++) {
        assert_true(targets_left(&t));
        assert_non_null(targets_next(&t));
        assert_int_equal(targets_patience_ms(&t, 5000), TARGETS_FIRST_MS);
    }
    assert_null(targets_next(&t));
    targets_begin(&t, &endpoint);
    assert_int_equal(targets_patience_ms(&t, 5000), 2 * TARGETS_FIRST_MS);
    for (int i = 0; i < 1000; i++)
        targets_begin(&t, &endpoint);
    assert_int_equal(targets_patience_ms(&t, 5000), 5000);
    targets_reset(&t);
    names_put(&names, 0, several, 1, "", 1);
    targets_begin(&t, &endpoint);
    assert_int_equal(targets_patience_ms(&t, 5000), 5000); /* there is no other */
    names_clear(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_address_is_tried_when_one_is_dead),
        cmocka_unit_test(a_name_that_is_not_known_yet_is_connected_to_when_it_is),
        cmocka_unit_test(the_first_look_up_takes_no_part_of_the_time_to_connect),
        cmocka_unit_test(a_server_is_gone_when_its_name_is_not_found),
        cmocka_unit_test(a_name_that_moves_is_followed),
        cmocka_unit_test(none_of_several_addresses_takes_long_at_first),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
