/* A snapshot of authorized_edges: the file as it was at one moment, checked for its mode and sealed in
 * memory, so that the net process and the vault go by the very same bytes, also when one of them is started
 * again later. The supervisor takes it and does not look inside. */
#ifndef KEYSERVER_RULES_AUTHORIZED_SNAPSHOT_H
#define KEYSERVER_RULES_AUTHORIZED_SNAPSHOT_H

#include "keyserver/rules/authorized.h"

/* A descriptor (close-on-exec, cannot be changed any more) with what FILE holds; the caller closes it.
 * Negative errors with the fault of authorized_load(). */
int authorized_snapshot_take(const char *file, struct fault *fault) MUST_USE;
/* The list in the snapshot FD, which stays the caller's. FILE is for messages only. */
int authorized_snapshot_load(struct authorized **out, int fd, const char *file, struct fault *fault) MUST_USE;
/* ERR_CONFIG when the snapshot FD is of an empty file and BEFORE_FD, which is in force, is not: the content
 * was lost. A file with only a comment says that no edge may connect. Both stay the caller's. */
int authorized_snapshot_check_kept(int before_fd, int fd, const char *file, struct fault *fault) MUST_USE;

#endif
