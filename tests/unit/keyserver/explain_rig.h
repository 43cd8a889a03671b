/* A judge by rules that a test writes, with an edge "paris1" and the keys "www" (RSA) and "ec" (P-256), and
 * its explanations. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_EXPLAIN_RIG_H
#define TESTS_UNIT_KEYSERVER_EXPLAIN_RIG_H

#include "keyserver/vault/judge/explain.h"
#include "tests/unit/keyserver/keys.h"

#define NOON     1798718400 /* 2026-12-31T12:00:00Z, when questions are asked */
#define EDGE_KEY "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=" /* of paris1 */

extern const uint8_t explain_group_secret[32];
extern EVP_PKEY *explain_rsa; /* of www */
extern struct judge explain_judge;
extern char explain_said[8192]; /* by the last explain_ask() */

/* Of all tests of a program: keys and folders. */
int explain_start(void **state);
int explain_stop(void **state);
/* Of each test: what explain_load() has made. */
int explain_tear_down(void **state);

/* server.conf with TEXT, and authorized_edges with paris1 in line 3, which has OPTIONS. */
void explain_load(const char *text, const char *options);
struct question explain_question(const char *key, enum operation_kind operation);
/* True: granted. */
bool explain_ask(const struct question *question);
/* A line that begins with ANSWER and STEP, and goes on with WORDS, where @ is for the name of server.conf. */
void assert_said(const char *answer, const char *step, const char *words);
const char *explain_last_line(void);

#define TEST(name) cmocka_unit_test_teardown(name, explain_tear_down)

#endif
