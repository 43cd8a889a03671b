/* A kernel of Ed25519 with a leak, for the measurement of leaks to find: it takes the point that a nonce asks
 * for out of the table by its place. */
#include "tests/timing/leaky_pick.h"

#include "keyserver/lanes/ed_portable.c"
