/* The vault process: holds the keys, judges every request that comes through the wall, computes, checks,
 * answers.
 *
 * No network socket, no protobuf, no libuv. One I/O thread polls the wall; a pool of workers computes. */
#ifndef KEYSERVER_VAULT_VAULT_H
#define KEYSERVER_VAULT_VAULT_H

#include "keyserver/rules/question.h"
#include "keyserver/rules/server_config.h"

/* What the process is given; all of it is taken. */
struct vault_descriptors {
    int wall;    /* its end */
    int ready;   /* gets one byte when everything is loaded, and is closed */
    int before;  /* a memory file: what the vault before this one has left (handover.h); -1: there was none */
    bool served; /* that one serves on if this one does not come to be ready */
    int own;     /* a memory file for what this one leaves; -1: nobody follows */
    int gaps;    /* the one for what all vaults leave to each other (gap_slots.h); -1: there are no others */
};

struct loaded;
/* The body of the process, which was forked with everything LOADED and ends right after: hardens itself,
 * opens the audit log, drops to the configuration's user, says that it is ready, then serves the wall until
 * its other end is closed and everything begun is done. Returns the exit status: 0 done, 2 when what it needs
 * could not be had (logged). LOADED is not freed: its pages are the parent's, too, and to wipe them here
 * would copy each of them first. */
int vault_serve(struct loaded *loaded, const struct vault_descriptors *fds);

/* The body of a process that gets just as far, and then says on standard output that FILE, of which CONFIG
 * is, is good (FILE NULL: it is not, so nothing), or on standard error what is not. Returns the exit status:
 * 0 all is good, 1 it could not be written, 2 something is wrong. */
int vault_try(const struct server_config *config, const char *file);

/* The body of a process that loads the same and opens no log: writes to standard output why QUESTION is
 * granted or refused (explain.h). Returns the exit status: 0 granted, 4 refused, 1 it could not be written, 2
 * as above. */
int vault_explain(const struct server_config *config, const struct question *question);

#endif
