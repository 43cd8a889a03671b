/* A moment: now, on every clock that a decision looks at. Plain data. */
#ifndef KEYSERVER_VAULT_REQUEST_NOW_H
#define KEYSERVER_VAULT_REQUEST_NOW_H

#include <stdint.h>

struct now {
    uint64_t mono_ns; /* of clock_ns() */
    int64_t unix_s;
    int64_t reached_s; /* the same, but never set back (epoch.h): quotas are counted by it */
    uint64_t epoch;    /* the current one */
};

#endif
