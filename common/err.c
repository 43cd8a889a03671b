#include "common/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static const char *const texts[] = {
    [-ERR_NONE] = "no error",
    [-ERR_MEMORY] = "out of memory",
    [-ERR_SYSTEM] = "system error",
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

const char *err_string(int code)
{
    size_t count = sizeof texts / sizeof texts[0];
    if (code > 0 || code <= -(int)count)
        return "unknown error";
    return texts[-code];
}

int fault_set(struct fault *fault, int code, const char *format, ...)
{
    if (fault == NULL)
        return code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->text, sizeof fault->text, format, arguments);
    va_end(arguments);
    return code;
}
