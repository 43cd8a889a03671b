/* The same in lanes. */
#define RIG_IN_LANES true
#include "tests/unit/keyserver/test_signer.c"
