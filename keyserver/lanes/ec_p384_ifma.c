#include "keyserver/lanes/ec_p384.h"

#include "keyserver/lanes/ec_body.h"

const struct ec_kernel ec_p384_ifma = {
    .name = "p384-ifma",
    .size = EC_SIZE,
    .work_size = sizeof(struct work),
    .prepare = comb_prepare,
    .derive = nonce_derive,
    .sign = sign_items,
};
