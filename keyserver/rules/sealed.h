/* Sealed memory: bytes as they were at one moment, behind a descriptor, so that several processes go by the
 * very same ones, also when one of them is started again later. */
#ifndef KEYSERVER_RULES_SEALED_H
#define KEYSERVER_RULES_SEALED_H

#include "common/bytes.h"

/* A descriptor (close-on-exec, the caller's) of memory called NAME that holds BYTES and that nobody can
 * change any more; ERR_SYSTEM, with errno. */
int sealed_make(const char *name, const void *bytes, size_t length) MUST_USE;
/* Appends what FD, which stays the caller's, holds to OUT. ERR_MEMORY, ERR_SYSTEM. */
int sealed_read(int fd, struct buffer *out) MUST_USE;

#endif
