/* A whole log as lines, which a test may change, and the verifier run over them. Not a test program by
 * itself. */
#ifndef TESTS_UNIT_KEYSERVER_AUDIT_LINES_RIG_H
#define TESTS_UNIT_KEYSERVER_AUDIT_LINES_RIG_H

#include "tests/unit/keyserver/audit_rig.h"

#define LINES_MAX  4000
#define LINES_USES 60 /* of a key, in the whole log */

struct line {
    const char *text; /* borrowed */
    size_t length, file;
    uint64_t seq;
    bool unended;
};

struct lines {
    struct line item[LINES_MAX];
    size_t count;
};

extern struct rig_files lines_files;      /* of a whole log */
extern struct lines lines_whole;          /* the same */
extern struct audit_head lines_head;      /* its note of the last checkpoint */
extern struct sign_key *lines_signer;     /* its key */
extern struct audit_hasher *lines_hasher; /* for what a test makes anew */
extern struct audit_check lines_check;    /* of the last run */

/* Of all tests of a program: they make the whole log and remove it. */
int lines_set_up(void **state);
int lines_tear_down(void **state);

/* ---- checking it ---- */

/* Options of a run: a part of a log; one that may go on; with the note of its last checkpoint; with its key.
 */
enum { PART = 1, LIVE = 2, HEAD = 4, KEY = 8 };

void lines_begin(unsigned options);
/* Goes on with the lines from FROM to END, not included. */
int lines_go_on(const struct lines *lines, size_t from, size_t end);
/* The rest of what lines_begin() has begun. */
enum audit_flaw_kind lines_run_from(const struct lines *lines, size_t from);
enum audit_flaw_kind lines_run(const struct lines *lines, unsigned options);
/* The verifier finds KIND, at record SEQ; WHAT names the case when it does not. */
void assert_flaw(const struct lines *lines, unsigned options, enum audit_flaw_kind kind, uint64_t seq,
                 const char *what);

/* ---- changing it ---- */

/* The whole log, until the next call. */
struct lines *lines_copy(void);
void lines_drop(struct lines *lines, size_t at, size_t count);
void lines_insert(struct lines *lines, size_t at, struct line line);
bool line_is(const struct line *line, const char *type);
/* Where the N-th record of a type stands. */
size_t lines_find(const char *type, unsigned n);
/* Makes the hashes anew from record AT on, as somebody does who has no key; signatures stay as they are. */
void lines_seal_again(struct lines *lines, size_t at);

#endif
