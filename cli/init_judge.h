/* What `keyless init` has made, read as the daemons read it: nothing stays that they refuse. What a person
 * adds later, such as a passphrase file or a certificate, may be missing. One thread. */
#ifndef CLI_INIT_JUDGE_H
#define CLI_INIT_JUDGE_H

#include "common/err.h"

/* FOLDER/server.conf, and FOLDER/edge.conf with its certificates. ERR_CONFIG. */
int init_judge_server(const char *folder, struct fault *fault) MUST_USE;
int init_judge_edge(const char *folder, struct fault *fault) MUST_USE;

#endif
