/* From one file of the audit log to the next. Every function with the file locked, by the I/O thread. */
#ifndef KEYSERVER_VAULT_AUDIT_ROLL_H
#define KEYSERVER_VAULT_AUDIT_ROLL_H

#include "keyserver/vault/audit/audit_log.h"

/* Goes on in the file after the one that is closed, or after record `follow.link` where there is none: reads
 * it when another vault has made it, makes it with its head part otherwise. */
int audit_roll_next(struct audit_log *log) MUST_USE;
/* Closes this file and goes on in the next one. */
int audit_roll(struct audit_log *log) MUST_USE;
/* The same when something is wrong with this file: whatever becomes of it, another follows. */
int audit_roll_away(struct audit_log *log, const char *what, uint64_t line) MUST_USE;

/* Logs that FILE is damaged, and keeps it to be recorded. */
void audit_roll_note_damage(struct audit_log *log, const char *file, uint64_t line, const char *what);

#endif
