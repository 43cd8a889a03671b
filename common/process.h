/* What every daemon does to itself before it touches a peer. Linux only. */
#ifndef COMMON_PROCESS_H
#define COMMON_PROCESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

/* True in a build with ASan or TSan, which need more of the kernel than the program does. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PROCESS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PROCESS_SANITIZED true
#endif
#endif
#ifndef PROCESS_SANITIZED
#define PROCESS_SANITIZED false
#endif

/* Bytes of the stack of a thread that somebody joins. TSan knows a thread by the place of its stack, and a
 * forked child still by those of the parent's threads, which the C library uses again for stacks that are not
 * larger. So that of the log's thread, which a parent has when it forks, must be too small for these. */
#define PROCESS_STACK_SIZE (PROCESS_SANITIZED ? 4u << 20 : 256u << 10)

/* As pthread_create() with a stack of SIZE bytes: the C library's default is the limit of the first thread's
 * stack (RLIMIT_STACK), which may be far too little. ERR_SYSTEM with errno when there can be no thread. */
int process_start_thread(pthread_t *out, size_t size, void *(*run)(void *), void *user) MUST_USE;
/* Raises the soft limit of the first thread's stack to LEAST bytes when it is below that. ERR_SYSTEM, with
 * both numbers and the hint, when the hard limit is, too: WHAT ("an edge") would end by SIGSEGV at some call.
 * To be called before anything that needs more than a few KiB. */
int process_check_stack(size_t least, const char *what, struct fault *fault) MUST_USE;

/* First of all in main(): descriptors 0 to 2 that are closed lead to /dev/null from now on, so that no file
 * or socket opened later is taken for one of them. Standard output is open for reading only then: what is
 * printed is lost, and that is an error (common/output.h). ERR_SYSTEM when there is no /dev/null. */
int process_open_standard(void) MUST_USE;
/* From now on standard input and output are /dev/null, opened for this process alone. Until then it shares
 * them, and what it does to them, with whoever started it; the output may be the log. ERR_SYSTEM. */
int process_leave_standard(void) MUST_USE;
/* The same for a daemon, and no signal that is often sent by mistake ends it (SIGUSR1, SIGUSR2, SIGPIPE,
 * SIGXFSZ) or stops it when it writes to a terminal from the background (SIGTTOU, SIGTTIN). What its parent
 * has blocked or ignored of those that it needs (SIGCHLD, SIGTERM, SIGINT) is as usual again. */
int process_begin(void) MUST_USE;
/* "HUP", "USR1", "USR2", or "?" */
const char *process_signal_name(int number);

/* No core, not dumpable, no new privileges, umask 077; SIGPIPE and SIGXFSZ are ignored, so that a peer that
 * hangs up and a full file are errors to handle. NAME becomes the process's comm (≤ 15 chars). */
int process_harden(const char *name, struct fault *fault) MUST_USE;
/* A hint for a system call that failed with the errno WHY because of a limit: which limit it may be, its
 * value, and how to raise it ("; raise the limit of ..."). "" when it is no limit of the process. Valid until
 * the thread asks again. */
#define PROCESS_HINT_SIZE 512
const char *process_limit_hint(int why);
/* Where ERR is ERR_MEMORY, or FAULT says that there are too many open files, adds process_limit_hint() to
 * FAULT, unless it names a limit already. Returns ERR. */
int process_name_limit(struct fault *fault, int err);
/* ERR_SYSTEM with WHAT cannot be done ("cannot start a thread"), why (errno) and what lifts the limit. */
int process_fail(struct fault *fault, const char *what);
/* Raises RLIMIT_NOFILE to its hard limit; returns the new soft limit. */
unsigned long process_raise_descriptors(void);
/* True when FD, which was just opened, is one of the last descriptors that this process may have (32 of them,
 * or a quarter of very few): those are kept for what must go on, such as the admin endpoint. */
bool process_descriptors_low(int fd);
/* Dies with SIGKILL when the parent dies. */
void process_die_with_parent(void);
/* Denies every file to this thread and to all it starts later, by Landlock: false where the kernel has none,
 * and in a build with sanitizers, which read files of their own. What is open stays open. */
bool process_deny_files(void);
/* The same but for regular files in FOLDER, an open descriptor of it: they can be made, read, written and
 * cut. */
bool process_deny_files_but(int folder);
/* sd_notify: sends STATE ("READY=1") to $NOTIFY_SOCKET when there is one. */
void process_notify(const char *state);

#endif
