/* Of which daemon a configuration is: a key server's or an edge's. */
#ifndef CLI_SIDE_H
#define CLI_SIDE_H

#include <stdio.h>

#include "common/config_side.h"

/* Of FILE, which is open as STREAM (what comes through a pipe comes once), by the options that only one of
 * the two has; where they do not tell, since other files are included, by the daemon that can read it. */
enum config_side side_find(const char *file, FILE *stream);

#endif
