/* The group secret: the bytes that all replicas of a key server share. What a bad pre-master is answered with
 * and every epoch follow from it, so another one is never taken unasked: it is made at a first start only. */
#ifndef KEYSERVER_VAULT_GROUP_SECRET_H
#define KEYSERVER_VAULT_GROUP_SECRET_H

#include "keyserver/rules/server_config.h"

enum group_secret_use {
    GROUP_SECRET_AT_START, /* made where it is missing and nothing shows an earlier run */
    GROUP_SECRET_LATER,    /* never made: this key server runs, with another */
    GROUP_SECRET_TO_LOOK,  /* as at a start, but what would be made is said and not made */
};

/* The secret that CONFIG names into OUT. A missing one that is not made is ERR_CONFIG with the hint. */
int group_secret_load(uint8_t out[static GROUP_SECRET_SIZE], const struct server_config *config,
                      enum group_secret_use use, struct fault *fault) MUST_USE;

#endif
