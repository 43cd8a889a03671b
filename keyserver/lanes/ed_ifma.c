#include "keyserver/lanes/ed_25519.h"

#include "keyserver/lanes/ed_body.h"

const struct ed_kernel ed25519_ifma = {
    .name = "ed25519-ifma",
    .work_size = sizeof(struct work),
    .prepare = comb_prepare,
    .sign = sign_items,
};
