/* The vault's rig by its former name. */
#ifndef TESTS_UNIT_KEYSERVER_TEST_VAULT_RIG_H
#define TESTS_UNIT_KEYSERVER_TEST_VAULT_RIG_H

#include "tests/unit/keyserver/vault_rig.h"

#endif
