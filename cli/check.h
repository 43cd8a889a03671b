/* The parts of `keyless check`: each looks at one thing and adds what it finds.
 *
 * They read what a start would read and change nothing, but that `keyless-server -t` makes a group secret
 * where there is none yet. One thread. */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include <stdio.h>

#include "cli/findings.h"
#include "common/bytes.h"
#include "edge/certs/certs_file.h"
#include "edge/config/edge_config.h"
#include "keyserver/rules/authorized.h"
#include "keyserver/rules/server_config.h"

#define CHECK_EXPIRY_DAYS 14 /* a certificate or a right that ends within them is worth a warning */

/* check.c: for both daemons. The identity's file; false when it cannot be used. */
bool check_identity(struct findings *findings, const char *path);
/* The account that is meant to be taken on; NULL = none. */
void check_user(struct findings *findings, const char *file, const char *user);

/* check_server.c, check_edge.c: everything about the configuration FILE. */
void check_server_file(struct findings *findings, const char *file);
void check_edge_file(struct findings *findings, const char *file, bool online);

/* check_policy.c: what CONFIG, of FILE, and EDGES (NULL: could not be loaded) say together about who may do
 * what, and until when. Whether there are the keys that sections name, the key server's own test says. */
void check_policy(struct findings *findings, const char *file, const struct server_config *config,
                  const struct authorized *edges);

/* check_certs.c: the certificates that an edge can use. */
struct check_certs {
    struct cert **item; /* owned, `count` owned certificates */
    size_t count;
    OSSL_LIB_CTX *context; /* owned */
    struct certs_pool pool;
};
/* Fills the zeroed OUT with the good ones of the configured folder. */
void check_certs_load(struct findings *findings, const struct edge_config *config, struct check_certs *out);
void check_certs_clear(struct check_certs *certs);

/* check_online.c: asks every key server which keys this edge may use and compares with CERTS. */
void check_online_servers(struct findings *findings, const char *file, const struct check_certs *certs);

/* check_daemon.c: lets PROGRAM ("keyless-edge") test FILE itself; what it complains of is found. The program
 * is looked for beside this one, in ../sbin, and in PATH. */
void check_daemon_test(struct findings *findings, const char *program, const char *file);
/* Runs PROGRAM, found the same way, with ARGUMENTS (the first is its name, the last NULL). OUTPUT gets what
 * it writes, to standard error only WITH_ERRORS, else that is left to it. Returns its exit code, 127 when it
 * is not found, or a negative error. */
int check_daemon_run(const char *const arguments[], bool with_errors, struct buffer *output) MUST_USE;

/* check_explain.c: lets keyless-server say whether and why an edge may do something. */
struct check_question {
    const char *words[3];         /* edge, key, operation */
    const char *from, *name, *at; /* NULL: not said */
};
/* Prints it, as JSON if wanted. Returns the exit code. */
int check_explain(const char *file, const struct check_question *question, bool json);
/* TEXT, the lines of keyless-server --explain, for a person: the verdict, then each step that refuses with
 * what to do about it, then the others. */
void check_explain_print(FILE *out, const char *text, bool colour);

#endif
