/* What a kernel of Ed25519 in lanes is.
 *
 * Two implementations from one source (ed_body.h): of the vector unit, and a portable one, which is slow, for
 * tests. Not for who wants to sign: that is ed_lanes.h. */
#ifndef KEYSERVER_LANES_ED_KERNEL_H
#define KEYSERVER_LANES_ED_KERNEL_H

#include "keyserver/lanes/ed_lanes.h"

#define ED_LANES  8
#define ED_GROUPS (ED_LANES_MAX / ED_LANES)

struct ed_kernel {
    const char *name;
    size_t work_size; /* bytes of WORK, aligned to 64; it may contain anything before, and secrets after */
    /* Makes the multiples of the base point; once, before any other thread. */
    void (*prepare)(void);
    /* Signs COUNT (1 … ED_LANES_MAX) items. */
    void (*sign)(void *work, struct ed_item *items, size_t count);
};

extern const struct ed_kernel ed25519_ifma; /* only where the vector unit is there */
extern const struct ed_kernel ed25519_portable;

/* Puts a prepared KERNEL through known answers: true when it gives them all. */
bool ed_kernel_test(const struct ed_kernel *kernel);

#endif
