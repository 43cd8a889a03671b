/* The list of keys that each key server gives: in parts, late, or not at all. */
#include "tests/unit/edge/client_rig.h"

struct list {
    size_t calls, keys, ends;
    enum operation_status status;
    struct key_info last;
};

static void on_keys(const char *server, enum operation_status status, const struct key_info *keys,
                    size_t count, void *user)
{
    struct list *list = user;

    if (server == NULL) {
        list->ends++;
        return;
    }
    assert_int_equal(list->ends, 0);
    list->calls++;
    list->keys += count;
    list->status = status;
    if (count > 0)
        list->last = keys[count - 1];
}

static void keys_come_in_parts(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct list list = {0};
    struct key_info keys[3] = {{.type = KEY_RSA, .bits = 2048},
                               {.type = KEY_EC_P256, .bits = 256},
                               {.type = KEY_ED25519, .bits = 256}};
    struct msg_answer answer = {.keys = keys, .key_count = 2, .more = true};
    rig->peers[0].habit = HOLDS;
    assert_int_equal(client_keys(rig->client, LONG_MS, on_keys, &list), 0);
    assert_int_equal(list.calls + list.ends, 0);
    RIG_WAIT(rig, rig->peers[0].held_count == 1);
    answer.id = rig->peers[0].held[0].request.id;
    peer_send(rig->peers[0].held[0].channel, &answer, 1);
    answer = (struct msg_answer){.id = answer.id, .keys = keys + 2, .key_count = 1};
    peer_send(rig->peers[0].held[0].channel, &answer, 1);
    RIG_WAIT(rig, list.ends == 1);
    assert_int_equal(list.calls, 1);
    assert_int_equal(list.keys, 3);
    assert_int_equal(list.status, STATUS_OK);
    assert_int_equal(list.last.type, KEY_ED25519);
    rig_free(rig);
}

static void keys_of_a_server_that_says_nothing_are_unavailable(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(2);
    struct list list = {0};
    rig->peers[0].habit = rig->peers[1].habit = HOLDS;
    assert_int_equal(client_keys(rig->client, 50, on_keys, &list), 0);
    RIG_WAIT(rig, list.ends == 1);
    assert_int_equal(list.calls, 2);
    assert_int_equal(list.status, STATUS_UNAVAILABLE);
    assert_int_equal(list.keys, 0);
    rig_free(rig);
}

static void keys_without_any_server_only_end(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct list list = {0};
    rig->peers[0].silent = true;
    rig->client = client_new(&rig->loop, &rig->settings);
    assert_int_equal(client_keys(rig->client, LONG_MS, on_keys, &list), 0);
    assert_int_equal(list.ends, 0);
    RIG_WAIT(rig, list.ends == 1);
    assert_int_equal(list.calls, 0);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_in_parts),
        cmocka_unit_test(keys_of_a_server_that_says_nothing_are_unavailable),
        cmocka_unit_test(keys_without_any_server_only_end),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
