/* A kernel of Ed25519 with a leak, for the measurement of leaks to find: it takes the point that a nonce asks
 * for out of the table by its place, after a look whether that is in the first half. */
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
#include "keyserver/lanes/ed_portable.c"
