#include "keyserver/lanes/ed_25519.h"

#include "keyserver/lanes/ed_body.h"

const struct ed_kernel ed25519_portable = {
    .name = "ed25519-portable",
    .work_size = sizeof(struct work),
    .prepare = comb_prepare,
    .sign = sign_items,
};
