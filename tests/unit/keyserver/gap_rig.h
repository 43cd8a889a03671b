/* Vaults, each a process of its own, that leave numbers to each other and end or stop when a test wants it,
 * also in the midst of a write. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_GAP_RIG_H
#define TESTS_UNIT_KEYSERVER_GAP_RIG_H

#include <sys/types.h>

#include "keyserver/vault/audit/gap_slots.h"

extern int gap_fd; /* the memory that all vaults of a test share; owned by the rig */

int gap_set_up(void **state);
int gap_tear_down(void **state);

/* ---- a process that ends or stops in a write ---- */

enum gap_when { BEFORE, WITHIN, AFTER, WHENS };

struct gap_trap {
    unsigned at; /* in this write, counted from 1; 0: in none */
    enum gap_when when;
    bool stops; /* until it is told to go on; otherwise it ends */
};

/* ---- vaults ---- */

/* A vault in a process of its own, which does what it is told. */
struct gap_vault {
    pid_t pid;
    int to, from; /* the ends of its pipes */
};

struct gap_order {
    enum { GATHER, ADD, END } what;
    struct gap_number number; /* to add */
    struct gap_trap trap;
};

struct gap_vault gap_vault_start(void);
void gap_vault_tell(const struct gap_vault *vault, const struct gap_order *order);
/* False: it has died of the order. */
bool gap_vault_hear(const struct gap_vault *vault, struct gap_number *out);
struct gap_number gap_vault_gather(const struct gap_vault *vault);
void gap_vault_add(const struct gap_vault *vault, uint64_t since_ms, uint64_t unrecorded, uint64_t withheld);
/* By the signal HOW; 0: in order. */
void gap_vault_end(struct gap_vault *vault, int how);
void assert_number(struct gap_number number, uint64_t since_ms, uint64_t unrecorded, uint64_t withheld);
/* All that is left, once no vault lives: a new one takes it over, and is ended without having it recorded. */
struct gap_number gap_left(void);

#define TEST(name) cmocka_unit_test_setup_teardown(name, gap_set_up, gap_tear_down)

#endif
