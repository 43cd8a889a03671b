#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define ERRNO_BASE 1000 /* a code below its negative keeps an errno */

static const char *const texts[] = {
    [-ERR_NONE] = "no error",
    [-ERR_MEMORY] = "out of memory",
    [-ERR_SYSTEM] = "a system call failed",
    [-ERR_FORMAT] = "malformed",
    [-ERR_LENGTH] = "wrong length",
    [-ERR_CRYPTO] = "not authentic",
    [-ERR_REFUSED] = "refused",
    [-ERR_NOT_FOUND] = "not found",
    [-ERR_BUSY] = "busy",
    [-ERR_TIMEOUT] = "timed out",
    [-ERR_CLOSED] = "closed",
    [-ERR_CUT] = "connection cut",
    [-ERR_UNSUPPORTED] = "not supported",
    [-ERR_CONFIG] = "configuration error",
};

int err_of_errno(int number)
{
    return number > 0 ? -ERRNO_BASE - number : ERR_SYSTEM;
}

int err_kind(int code)
{
    return code < -ERRNO_BASE ? ERR_SYSTEM : code;
}

const char *err_string(int code)
{
    int number = code < -ERRNO_BASE ? -ERRNO_BASE - code : code == ERR_SYSTEM ? errno : 0;
    const char *description = number > 0 ? strerrordesc_np(number) : NULL;

    if (description != NULL)
        return description;
    code = err_kind(code);
    size_t count = sizeof texts / sizeof texts[0];
    if (code > 0 || code <= -(int)count)
        return "unknown error";
    return texts[-code];
}

/* A command whose path is cut off would name something else. No UTF-8 character is split.
 */
static void mark_cut(struct fault *fault)
{
    static const char mark[] = "…";
    size_t at = sizeof fault->text - sizeof mark;
    while (at > 0 && (fault->text[at] & 0xC0) == 0x80)
        at--;
    memcpy(fault->text + at, mark, sizeof mark);
}

int fault_set(struct fault *fault, int code, const char *format, ...)
{
    if (fault == NULL)
        return code;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(fault->text, sizeof fault->text, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof fault->text)
        mark_cut(fault);
    return code;
}
