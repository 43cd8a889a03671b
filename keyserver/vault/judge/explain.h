/* The explanation: why an edge would be granted an operation on a key, or refused, in words, with the line
 * that says so. Walks the table that the judge walks (judge_steps.h), and has the same functions answer.
 *
 * Counts nothing, and computes nothing with a key. One thread. */
#ifndef KEYSERVER_VAULT_JUDGE_EXPLAIN_H
#define KEYSERVER_VAULT_JUDGE_EXPLAIN_H

#include <stdio.h>

#include "keyserver/rules/question.h"
#include "keyserver/vault/judge/judge.h"

/* How the files are called that the words name. */
struct explain_files {
    const char *edges; /* authorized_edges */
    const char *keys;  /* the folder */
};

/* Writes to OUT a line for each step:
 *
 *     OUTCOME STEP WHERE: WHY
 *
 * OUTCOME is "granted", "refused", or "open" for what the question does not say; STEP is the step's name;
 * WHERE is the file, with the line, or "default". A line
 *
 *     fix STEP WHAT
 *
 * follows one that refuses, and says what to do about it. What comes after a refusal is told as far as it can
 * be, so that all there is to change is seen. In the last line, the verdict, STEP is "verdict", and of a
 * refusal WHERE is the reason and WHY what to do. Returns true when nothing refuses it. */
bool explain(const struct judge *judge, const struct explain_files *files, const struct question *question,
             FILE *out);

#endif
