/* Error codes shared by every module, and the sentence a person reads when something is wrong.
 *
 * Functions return 0 or one of these negative codes; the result must be used. A code says what kind of thing
 * happened; a `struct fault` says it to a person: what failed, which thing, why, and how to mend it.
 * Pure; any thread. */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#define MUST_USE                 __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
/* For a large variable that is written before it is read. The compiler zeroes all others. */
#define UNINITIALIZED __attribute__((uninitialized))

enum err {
    ERR_NONE = 0,
    ERR_MEMORY = -1,       /* no memory, or a bounded buffer is full */
    ERR_SYSTEM = -2,       /* a system call failed; errno says why */
    ERR_FORMAT = -3,       /* bytes do not have the form they must have */
    ERR_LENGTH = -4,       /* longer or shorter than allowed */
    ERR_CRYPTO = -5,       /* did not authenticate, or a primitive refused its input */
    ERR_REFUSED = -6,      /* policy says no */
    ERR_NOT_FOUND = -7,    /* no such thing */
    ERR_BUSY = -8,         /* a queue or budget is full; try again later */
    ERR_TIMEOUT = -9,      /* a deadline passed */
    ERR_CLOSED = -10,      /* the peer closed, as agreed */
    ERR_CUT = -11,         /* the peer vanished without an explicit close */
    ERR_UNSUPPORTED = -12, /* a version, type or feature that is not known here */
    ERR_CONFIG = -13,      /* a file of the user's is wrong; the fault says where and how to mend it */
};

/* ERR_SYSTEM that carries NUMBER, an errno, for code that reports it later or elsewhere. */
int err_of_errno(int number) MUST_USE;
/* The constant above that CODE is a case of. */
int err_kind(int code);
/* A short English phrase for CODE ("timed out"); for ERR_SYSTEM what strerror(3) says, of errno when CODE
 * does not keep it. Never NULL, static storage. */
const char *err_string(int code);

/* What went wrong, in words for a person. Empty text means nothing to say; one that has no room
 * ends with "…". A path in a command is a SHELL_WORD() (common/shell.h). */
struct fault {
    char text[1024];
};

/* Writes the sentence into FAULT (which may be NULL) and returns CODE, so that callers can
 * `return fault_set(fault, ERR_CONFIG, "%s: mode %04o lets others read it; run: chmod 0400 %s", path, mode,
 * SHELL_WORD(path))`. */
int fault_set(struct fault *fault, int code, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
