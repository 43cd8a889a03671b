/* What the sandbox logs about system calls: a line for one that is refused, and with SANDBOX_LOG a thread
 * that names those that are in no table (sandbox.h). */
#ifndef COMMON_SANDBOX_WATCH_H
#define COMMON_SANDBOX_WATCH_H

/* Asks for the names of all calls, while memory may be asked for. Once, before the others. */
void sandbox_watch_learn_names(void);
/* The process's last line: the call of this NUMBER was refused. Signal-safe. */
void sandbox_watch_say_refused(int number);
/* The call of this NUMBER was refused and fails, in code that the operator chose; said once of each. Returns
 * its name, static. Signal-safe. */
const char *sandbox_watch_say_failed(int number);
/* Loads FILTER, of libseccomp, whose other action is to notify; starts the thread that lets every such call
 * happen and logs "sandbox_unlisted" for the first of each. 0, or a negative errno. */
int sandbox_watch_load(void *filter);

#endif
