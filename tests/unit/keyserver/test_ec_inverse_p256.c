#include "keyserver/lanes/ec_p256.h"

#include "tests/unit/keyserver/ec_inverse_rig.h"

int main(void)
{
    return run_inverses(NID_X9_62_prime256v1);
}
