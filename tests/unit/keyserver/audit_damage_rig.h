/* A log that is damaged, written on and verified. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_AUDIT_DAMAGE_RIG_H
#define TESTS_UNIT_KEYSERVER_AUDIT_DAMAGE_RIG_H

#include "tests/unit/keyserver/audit_log_rig.h"

extern struct audit_check damage_check; /* of the last damage_verify() */
extern struct rig_files damage_files;   /* empty between two uses */

/* Twenty uses, 0 to 19, and an orderly end. */
void damage_write_some(void);
/* Three more by another vault, and an orderly end. */
void damage_write_more(void);
enum audit_flaw_kind damage_verify(void);
/* The only record of damage; COUNT of them must be there. */
struct audit_record damage_find(size_t count);
/* Where line NUMBER (1 …) of the text begins. */
char *damage_line(char *text, unsigned number);
/* Puts BYTES at the end of the first file. */
void damage_append(const char *bytes, size_t length);

#endif
