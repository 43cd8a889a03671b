/* The system account that a daemon becomes. One thread. */
#ifndef CLI_ACCOUNTS_H
#define CLI_ACCOUNTS_H

#include <stdbool.h>

#include "common/bytes.h"

/* Appends the line of a configuration that says whom its daemon becomes: USER, or when that is NULL and this
 * is run as root nobody for a TRIAL, else ACCOUNT. As another user than root without USER there is no such
 * line. ERR_FORMAT, ERR_MEMORY. */
int accounts_put_user(struct buffer *text, const char *user, const char *account, bool trial) MUST_USE;
/* Makes ACCOUNT with useradd(8) when it does not exist, and says so; when it cannot, says what to run. It
 * stays: to be called when nothing else can go wrong any more. */
void accounts_make(const char *account);

#endif
