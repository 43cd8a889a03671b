/* A look at a table with a leak: it takes an entry by its place, after a look whether that is in the first
 * half. A leaky kernel is an ordinary one behind this header. */
#ifndef TESTS_TIMING_LEAKY_PICK_H
#define TESTS_TIMING_LEAKY_PICK_H

#include "keyserver/lanes/lane_vec.h"

static inline vec leaky_pick(vec low, vec high, vec index)
{
    vec out;
    for (unsigned i = 0; i < VEC_LANES; i++) {
        const vec *half = &low;
        if (index.lane[i] & VEC_LANES) {
            half = &high;
            __asm__ volatile("" : : "r"(half)); /* so that it is a jump */
        }
        out.lane[i] = half->lane[index.lane[i] % VEC_LANES];
    }
    return out;
}

#define vec_pick leaky_pick

#endif
