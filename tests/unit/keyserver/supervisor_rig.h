/* A key server with its files in a folder of its own, as a process under test: started, read by its log
 * lines, ended. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_SUPERVISOR_RIG_H
#define TESTS_UNIT_KEYSERVER_SUPERVISOR_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/types.h>

#include "common/address.h"
#include "common/identity.h"

#define LOG_SIZE 65536

struct fixture {
    char folder[64];
    char file[128]; /* the configuration */
    struct identity server, edge;
    uint8_t psk[32];
    pid_t pid, net, vault;
    int log_fd; /* what it says */
    char log[LOG_SIZE];
    size_t log_length;
    size_t log_seen; /* everything before it was waited for */
    struct address listen;
};

/* Makes the files: one edge, one key. */
int rig_set_up(void **state);
/* Kills what still runs. */
int rig_tear_down(void **state);

/* A command of the shell that succeeds. */
void rig_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* NAME in the fixture's folder. */
void rig_write(const struct fixture *f, const char *name, const char *text);
void rig_add_key(const struct fixture *f, const char *name);
/* server.conf, with MORE at its end. */
void rig_write_config(const struct fixture *f, const char *more);

void rig_start(struct fixture *f);
/* Until it is ready; its address and processes are known then. */
void rig_start_and_wait(struct fixture *f);
/* The first line after those already waited for that contains EVENT, from there on; it stays valid. */
const char *rig_wait_for(struct fixture *f, const char *event);
/* The pid in a line. */
pid_t rig_pid_in(const char *line);
/* The exit status, or 128 and the signal that ended it. */
int rig_wait_for_end(struct fixture *f);

#endif
