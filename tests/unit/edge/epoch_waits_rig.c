#include "tests/unit/edge/epoch_waits_rig.h"

void say(struct rig *rig, size_t i, uint64_t number, uint32_t left_ms)
{
    const struct msg_epoch epoch = epoch_of(number, 'g', left_ms);
    peer_announce(&rig->peers[i], &epoch);
}

void say_none(struct rig *rig, size_t i)
{
    const struct msg_epoch none = {.number = 0};
    peer_announce(&rig->peers[i], &none);
}

enum client_outlook outlook(const struct rig *rig)
{
    struct client_epoch epoch;
    return client_choose_epoch(rig->client, &epoch);
}

void wait_heard(struct rig *rig)
{
    struct ask ask;
    assert_int_equal(rig->settings.server_count, 1);
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, ask.answers == 1);
    assert_answered(&ask);
}

void on_end(struct client_epoch_wait *wait)
{
    struct vigil *vigil = wait->user;

    assert_false(wait->open);
    vigil->ends++;
    vigil->outlook = outlook(vigil->rig);
    vigil->ended_ns = clock_ns();
    if (vigil->then != NULL)
        vigil->then(vigil);
}

void again(struct vigil *vigil, uint64_t within_ms)
{
    unsigned before = vigil->ends;
    vigil->wait.deadline_ns = clock_ns() + within_ms * MS;
    assert_int_equal(client_await_epoch(vigil->rig->client, &vigil->wait), 0);
    assert_int_equal(vigil->ends, before);
}

void await(struct vigil *vigil, struct rig *rig, uint64_t within_ms)
{
    *vigil = (struct vigil){.wait = {.on_end = on_end, .user = vigil}, .rig = rig};
    again(vigil, within_ms);
}

void assert_ended(const struct vigil *vigil, enum client_outlook expected)
{
    assert_int_equal(vigil->ends, 1);
    assert_int_equal(vigil->outlook, expected);
}

struct rig *rig_alone(size_t count)
{
    struct rig *rig = rig_new(count);
    for (size_t i = 0; i < count; i++)
        peer_stop(&rig->peers[i], false);
    return rig;
}
