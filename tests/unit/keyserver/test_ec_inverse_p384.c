#include "keyserver/lanes/ec_p384.h"

#include "tests/unit/keyserver/ec_inverse_rig.h"

int main(void)
{
    return run_inverses(NID_secp384r1);
}
