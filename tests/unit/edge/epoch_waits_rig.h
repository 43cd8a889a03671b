/* Waits for an epoch, of a client with key servers that say what the test wants. Not a test program by
 * itself. */
#ifndef TESTS_UNIT_EDGE_EPOCH_WAITS_RIG_H
#define TESTS_UNIT_EDGE_EPOCH_WAITS_RIG_H

#include "tests/unit/edge/client_rig.h"

void say(struct rig *rig, size_t i, uint64_t number, uint32_t left_ms);
void say_none(struct rig *rig, size_t i);
enum client_outlook outlook(const struct rig *rig);
/* Shows that whatever SERVER has said before has been heard: a signature comes after it on the same channel.
 */
void wait_heard(struct rig *rig);

struct vigil {
    struct client_epoch_wait wait;
    struct rig *rig;
    unsigned ends;
    enum client_outlook outlook;       /* at the last end */
    uint64_t ended_ns;                 /* and when that was */
    void (*then)(struct vigil *vigil); /* inside on_end */
};

void on_end(struct client_epoch_wait *wait);
/* Never ends inside of the call, whatever is known. */
void again(struct vigil *vigil, uint64_t within_ms);
void await(struct vigil *vigil, struct rig *rig, uint64_t within_ms);
void assert_ended(const struct vigil *vigil, enum client_outlook expected);
/* A rig whose servers are not there. */
struct rig *rig_alone(size_t count);

#endif
