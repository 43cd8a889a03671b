/* What `keyless bench` measures: which operations with which keys, and how many requests in flight.
 *
 * Sends nothing. Pure; one thread. */
#ifndef CLI_BENCH_PLAN_H
#define CLI_BENCH_PLAN_H

#include <stdbool.h>

#include "proto/operation.h"

#define BENCH_DEPTHS_MAX    16
#define BENCH_IN_FLIGHT_MAX 65536 /* in all */
#define BENCH_WISHES_MAX    16    /* keys that are named */
#define BENCH_KEY_NAME_SIZE 16

/* How many requests in flight, one measurement after the other. */
struct bench_depths {
    unsigned depth[BENCH_DEPTHS_MAX];
    size_t count;
};

/* Reads "1,8,64": 1 to 16 numbers from 1 to 65,536; ERR_FORMAT for anything else. */
int bench_depths_parse(struct bench_depths *out, const char *text) MUST_USE;
/* Reads a number of seconds from LEAST to 3,600, fractions allowed, into nanoseconds; ERR_FORMAT. */
int bench_seconds_parse(uint64_t *ns, const char *text, double least) MUST_USE;

/* What was asked for on the command line. Zero-initialised is everything. */
struct bench_wishes {
    uint32_t operations; /* set of OPERATION_BIT(); 0 = all */
    const char
        *keys[BENCH_WISHES_MAX]; /* names of types ("rsa2048", "p256") or beginnings of ids; borrowed */
    size_t key_count;            /* 0 = one key of each type */
};

/* Adds the operation called NAME; ERR_NOT_FOUND when none is called so, or it does not use a key. */
int bench_wishes_add_operation(struct bench_wishes *wishes, const char *name) MUST_USE;
/* ERR_LENGTH when there are too many, ERR_FORMAT for what is neither the name of a type nor four digits or
 * more of an id. */
int bench_wishes_add_key(struct bench_wishes *wishes, const char *text) MUST_USE;

#define BENCH_TYPE_LIST_SIZE 256
/* Every name of a type, with commas between: "rsa2048, rsa3072, …, ed25519". Returns OUT. */
char *bench_type_list(char out[static BENCH_TYPE_LIST_SIZE]);
/* "rsa2048", "p256" into OUT; "?" for a type that is not known. Returns OUT. */
char *bench_key_name(char out[static BENCH_KEY_NAME_SIZE], const struct key_info *key);

/* One operation with one key. */
struct bench_case {
    struct key_info key;
    enum operation_kind kind;
};

/* Zero-initialised is empty. */
struct bench_plan {
    struct bench_case *cases; /* owned */
    size_t count;
};

/* Makes the plan out of the COUNT KEYS that an edge is granted: the cases that fit WISHES, by type of key,
 * then size, then operation. Unless keys are named it is one key of each type and size, the one that is
 * granted most; no case when nothing fits. ERR_MEMORY. */
int bench_plan_make(struct bench_plan *plan, const struct bench_wishes *wishes, const struct key_info *keys,
                    size_t count) MUST_USE;
/* Drops the cases that are not granted by the COUNT KEYS of another edge, too. */
void bench_plan_keep(struct bench_plan *plan, const struct key_info *keys, size_t count);
void bench_plan_clear(struct bench_plan *plan);

#endif
