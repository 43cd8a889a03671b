/* The world of a net process, for its tests: a real one in a child process with two edges authorized, and the
 * test itself in the place of the supervisor and the vault. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_WORLD_H
#define TESTS_UNIT_KEYSERVER_WORLD_H

#include <sys/resource.h>

#include "common/admin.h"
#include "keyserver/net/control.h"
#include "keyserver/net/net.h"
#include "tests/unit/keyserver/edge_peer.h"
#include "tests/unit/keyserver/wall_rig.h"

#define IN_FLIGHT 4

extern rlim_t world_descriptors;
extern int world_in_flight;
extern bool world_keeps_listener; /* in the fixture, as the supervisor does */

struct fixture {
    char folder[64];
    struct server_config config;
    struct identity server, edges[2];
    uint8_t psks[2][32];
    struct address listen, admin;
    pid_t pid;
    int control;
    int listener;     /* owned; 0 = not kept */
    struct wall wall; /* the vault's end */
    struct wall_request slots[WALL_BATCH_MAX];
    int slot_count, slot_next;
    size_t epochs_wanted;   /* slots of that kind so far */
    uint8_t epoch_edge[32]; /* whose was wanted last */
};

/* ---- the world around it ---- */

/* Both edges but for a NULL instead of its options. */
void write_edges(struct fixture *f, const char *first, const char *second);
int take_snapshot(const struct fixture *f);
int set_up(void **state);
/* The exit status of the net process, which is told to drain. */
int finish(struct fixture *f);
int tear_down(void **state);
void connect_edge(struct fixture *f, struct test_edge *edge, int which);

/* ---- playing the vault ---- */

/* Gives the net process a new vault. The end of the one before, if any, is returned in OLD or closed. */
void give_wall(struct fixture *f, enum control_wall_cause cause, struct wall *old);
/* Waits, with the edge's loop running, until a vault serves. */
void until_ready(struct fixture *f);
/* The next that is no question for an epoch key, which every edge that greets causes. */
struct wall_request next_slot(struct fixture *f, struct wall *wall);
/* Waits for a question for an epoch key; returns whose. */
const uint8_t *next_epoch_wanted(struct fixture *f, struct wall *wall);
void answer_epoch(struct wall *wall, const uint8_t *edge_key, uint64_t number, uint8_t fill,
                  uint32_t left_ms);
void send_epoch_number(struct wall *wall, uint64_t number);
void answer(struct wall *wall, uint64_t token, const char *text);
void send_stats(struct wall *wall, uint32_t workers, uint64_t faults);
/* The value of the metric NAME (with its labels), or -1. */
double metric(struct fixture *f, const char *name);
void until_metric(struct fixture *f, const char *name, double value);

/* One test with a net process of its own. */
#define NET_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
