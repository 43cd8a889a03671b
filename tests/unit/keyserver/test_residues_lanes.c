/* The same as test_residues.c where several operations are computed at once. */
#define RIG_IN_LANES true
#include "tests/unit/keyserver/test_residues.c"
