/* For tests of which each has an audit log of its own. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_AUDIT_LOG_RIG_H
#define TESTS_UNIT_KEYSERVER_AUDIT_LOG_RIG_H

#include "tests/unit/keyserver/audit_rig.h"

#define FIRST_FILE "audit-000000000001.jsonl"

extern struct rig rig;

int set_up(void **state);
int tear_down(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
