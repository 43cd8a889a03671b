/* A vault whose every test has an audit log of its own, and that log read back. Not a test program by itself.
 */
#ifndef TESTS_UNIT_KEYSERVER_VAULT_AUDIT_RIG_H
#define TESTS_UNIT_KEYSERVER_VAULT_AUDIT_RIG_H

#include "tests/unit/keyserver/vault_rig.h"

#include <glob.h>

#include "keyserver/audit/audit_record.h"

#define RECORDS_MAX 4096

extern struct rig rig;
extern uint64_t next_token; /* of the last request that ask() sent */

int start(void **state);
int stop(void **state);
int set_up(void **state);
int tear_down(void **state);

/* ---- the log, read back ---- */

extern struct audit_record records[RECORDS_MAX]; /* as they were read last, oldest first */
extern size_t record_count;

/* The log's files, oldest first; globfree() is the caller's. */
glob_t files_of_log(void);
void read_records(void);
/* The only record of TYPE and, if it is a use, of the trace that rig_request() gives TOKEN; NULL if none. */
const struct audit_record *find(enum audit_type type, uint64_t token);
size_t count(enum audit_type type);

/* ---- asking ---- */

struct operation signing(void);
/* As EDGE with its own token; its answer came when this returns. */
enum operation_status ask(unsigned edge, const struct operation *operation);

/* ---- across vaults ---- */

/* What the next vault would count of all quotas. */
uint64_t left_used(void);
/* Until VAULT leaves its counts again at once, and has looked at those of another: it waits some ms between
 * two times. */
void let_pass(struct rig *vault);

/* Starts the vault again, so that what it leaves is for the next one. */
void begin_handing_over(void);
/* For two vaults to which counts are handed, and for one that has the folder alone. */
void assert_used_up_for_good(void);

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
