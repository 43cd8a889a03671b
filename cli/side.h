/* Of which daemon a configuration is: a key server's or an edge's. */
#ifndef CLI_SIDE_H
#define CLI_SIDE_H

#include <stdio.h>

enum side { SIDE_UNKNOWN, SIDE_SERVER, SIDE_EDGE };

/* Of FILE, which is open as STREAM (what comes through a pipe comes once). A good file is told by the table
 * that it fits; a bad one by the options that only one of the two knows. */
enum side side_find(const char *file, FILE *stream);
/* The same of a regular file; SIDE_UNKNOWN when it cannot be read. */
enum side side_of_file(const char *file);

#endif
