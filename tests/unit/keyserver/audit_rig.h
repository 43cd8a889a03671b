/* An audit log in a folder of its own, with edges and keys to record, and time as the test has it; and the
 * log read back and verified. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_AUDIT_RIG_H
#define TESTS_UNIT_KEYSERVER_AUDIT_RIG_H

#include <fcntl.h>

#include "common/clock.h"
#include "common/privileges.h"
#include "common/process.h"
#include "keyserver/audit/audit_check.h"
#include "keyserver/vault/audit/audit.h"
#include "keyserver/vault/audit/audit_sync.h"
#include "tests/unit/keyserver/keys.h"

#define RIG_EDGES    3
#define RIG_KEYS     2
#define RIG_START_MS UINT64_C(1769860800000)

struct rig {
    char folder[64], log[96], key[96];
    struct server_audit config;
    struct authorized *edges;
    struct keystore *keys;
    struct audit_time now;
    struct handover *handover; /* borrowed; NULL = none */
    struct audit *audit;       /* NULL = not open */
    struct fault fault;
};

extern const uint8_t rig_policy[AUDIT_KEY_SIZE];

/* ---- the world ---- */

void rig_set_up(struct rig *rig);
void rig_tear_down(struct rig *rig);

/* ---- writing ---- */

int rig_try_open(struct rig *rig, const struct audit_quotas *quotas);
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
void rig_pass(struct rig *rig, uint64_t ms);
/* The identity of a request of edge NUMBER % RIG_EDGES whose trace id is NUMBER. */
struct request_identity rig_identity(const struct rig *rig, uint64_t number);
void rig_add(struct rig *rig, uint64_t number, enum audit_result result);
/* One use, committed. */
int rig_use(struct rig *rig, uint64_t number);
void rig_use_many(struct rig *rig, uint64_t first, uint64_t count);
void rig_refuse(struct rig *rig, unsigned edge, enum refusal refusal);

/* ---- reading back ---- */

struct rig_file {
    char name[64];
    char *text; /* owned */
    size_t length;
};

/* Zero-initialised is empty. */
struct rig_files {
    struct rig_file *item; /* owned */
    size_t count, size;
};

void rig_forget(struct rig_files *files);
char *rig_path(const struct rig *rig, const char *name);
char *rig_read_file(const char *path, size_t *length);
void rig_write_file(const char *path, const char *text, size_t length);
void rig_read(const struct rig *rig, struct rig_files *files);
/* Hands every line to TAKE until that does not return 0, which is returned. */
int rig_for_lines(const struct rig_file *file, void *context,
                  int (*take)(void *context, const char *line, size_t length, bool ended));
/* Runs CHECK, whose options are set, over FILES; what was found. */
enum audit_flaw_kind rig_check(struct audit_check *check, const struct rig_files *files);
/* The log as it stands is whole; with LIVE it may go on. The note of the last checkpoint fits. Returns the
 * number of its records. */
uint64_t rig_assert_whole(const struct rig *rig, bool live);

/* Every record of the log, in order. */
struct rig_records {
    struct audit_record *item; /* owned */
    size_t count, size;
};

void rig_records(const struct rig *rig, struct rig_records *records);
/* The first of TYPE, of which there must be one. */
const struct audit_record *rig_first_of(const struct rig_records *records, enum audit_type type);
uint64_t rig_number(const struct audit_record *record);
size_t rig_count(const struct rig *rig, enum audit_type type);
/* The numbers FIRST to FIRST + COUNT are there as uses, once each, in order, and no others. */
void rig_assert_uses(const struct rig *rig, uint64_t first, uint64_t count);

#endif
