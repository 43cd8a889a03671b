/* A daemon's configuration file in a folder of its own, written anew by each test. Not a test program by
 * itself. */
#ifndef TESTS_UNIT_COMMON_CONF_FILE_H
#define TESTS_UNIT_COMMON_CONF_FILE_H

#include "common/err.h"

extern char conf_folder[sizeof "/tmp/keyless-conf-XXXXXX"];
extern char conf_file[64]; /* its whole path */

/* For the set-up of a program, with the file's name; 0 or -1. */
int conf_file_make(const char *name);
/* The tear-down. */
int conf_file_remove(void **state);
void conf_file_write(const char *text);

/* PATH is NAME in the folder of the configuration. */
void assert_in_conf_folder(const char *path, const char *name);
/* What TEXT gave begins with the file's path and holds WORDS. */
void assert_conf_fault(const struct fault *fault, const char *text, const char *words);

#endif
