/* The file `head` in the folder of an audit log: its writer's signed note of the last checkpoint, as a
 * command reads it, which may do so beside a running key server. */
#ifndef CLI_AUDIT_NOTE_H
#define CLI_AUDIT_NOTE_H

#include <stdbool.h>

#include "keyserver/audit/audit_checkpoint.h"

/* AWAITED: a key server is writing; it makes the note within a second of the beginning of its log, so one
 * that is missing is waited for, three seconds at most. Whose signature it bears is for audit_head_verify().
 * ERR_NOT_FOUND, and OUT is untouched; ERR_FORMAT: no key server writes this; ERR_SYSTEM, ERR_CONFIG: it
 * cannot be read. */
int audit_note_load(struct audit_head *out, const char *folder, bool awaited, struct fault *fault) MUST_USE;

#endif
