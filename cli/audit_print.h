/* A record of the audit log in a line for a person. */
#ifndef CLI_AUDIT_PRINT_H
#define CLI_AUDIT_PRINT_H

#include <stdio.h>

#include "keyserver/audit/audit_record.h"

/* One line, printable on a terminal whatever the record holds. */
void audit_print_record(FILE *out, const struct audit_record *record, bool colour);

#endif
