/* The system calls of each kind of process, as a table: what is not in it is refused. Pure data.
 *
 * A row is one call by its name, as libseccomp knows it (so the table is the same on every architecture; a
 * name that the architecture does not have is passed over), for some roles, and, where the call's arguments
 * matter, for some values of one of them. */
#ifndef COMMON_SANDBOX_CALLS_H
#define COMMON_SANDBOX_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/sandbox.h"

/* What an argument must be, after its mask. */
enum sandbox_want {
    SANDBOX_ANY, /* no argument is looked at */
    SANDBOX_VALUE,
    SANDBOX_FOLDER, /* the descriptor of the role's folder */
    SANDBOX_SELF,   /* this process's id */
};

struct sandbox_rule {
    const char *call;
    unsigned roles;   /* a bit for each role: 1 << SANDBOX_NET */
    int error;        /* 0: allowed; else it fails with this errno, which its caller handles */
    bool with_folder; /* only where the role has a folder */
    enum sandbox_want want;
    unsigned argument; /* from 0 */
    uint64_t mask;
    uint64_t value;
    struct { /* another argument, which must have this value, too */
        unsigned argument;
        uint64_t mask; /* 0: there is none */
        uint64_t value;
    } also;
};

/* Ends with a row without a name. */
extern const struct sandbox_rule sandbox_rules[];
/* What is refused although a row of the other table lets it pass, by its arguments; for roles that fork none
 * with other rights. Ends likewise. */
extern const struct sandbox_rule sandbox_forbidden[];

#endif
