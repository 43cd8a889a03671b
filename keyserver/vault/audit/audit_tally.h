/* The tally: which decisions have a record of their own, and how many of each kind have not.
 *
 * A use of a key always has one. What came to nothing has one as long as its edge keeps to a budget; beyond
 * it only the number counts, so that no edge can fill the disk. Knows no clock. Pure; the I/O thread's. */
#ifndef KEYSERVER_VAULT_AUDIT_TALLY_H
#define KEYSERVER_VAULT_AUDIT_TALLY_H

#include "keyserver/audit/audit_record.h"
#include "keyserver/rules/refusal.h"

#define AUDIT_BUDGET   100  /* records of decisions that came to nothing, of one edge in one window */
#define AUDIT_TALLY_MS 1000 /* its length */

/* What is counted apart: each reason of a refusal, and each other result that is no use of a key. */
#define AUDIT_TALLY_KINDS (REFUSAL_KINDS + 3)

struct audit_count {
    unsigned recorded; /* in this window */
    uint64_t left_out[AUDIT_TALLY_KINDS];
};

struct audit_tally {
    struct audit_count *edges; /* owned; by index, and one more for all who are not known */
    size_t edge_count;
    uint64_t window_ms; /* when it began */
    bool any;           /* something was left out */
};

/* For edges with an index below EDGE_COUNT; ERR_MEMORY. */
int audit_tally_init(struct audit_tally *tally, size_t edge_count) MUST_USE;
void audit_tally_clear(struct audit_tally *tally);

/* True when the result is a use of the key, or might be one. */
bool audit_tally_is_use(enum audit_result result);
/* The kind of a RESULT that is no use; REFUSAL is of AUDIT_REFUSED. */
size_t audit_tally_kind(enum audit_result result, enum refusal refusal);
/* The result of a kind, and its reason in words or NULL. */
enum audit_result audit_tally_result(size_t kind, const char **reason);

/* True when there is a record left in the budget of EDGE (edge_count: nobody known); takes it. */
bool audit_tally_admit(struct audit_tally *tally, size_t edge);
/* Counts what has no record. */
void audit_tally_count(struct audit_tally *tally, size_t edge, size_t kind);
/* When a window is over, begins the next, with full budgets, and returns true. */
bool audit_tally_turn(struct audit_tally *tally, uint64_t now_ms);
/* The next number that is not zero at or after (EDGE, KIND), both moved there; 0 when there is none. */
uint64_t audit_tally_next(const struct audit_tally *tally, size_t *edge, size_t *kind);
/* All of it stands in the log now. */
void audit_tally_forget(struct audit_tally *tally);

#endif
