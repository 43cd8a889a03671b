#include "edge/provider/openssl_error.h"

#include <openssl/err.h>
#include <stdio.h>

char *openssl_error(char *out, size_t size)
{
    const char *data = "", *last_data = "";
    int flags = 0, last_flags = 0;
    unsigned long first = ERR_get_error_all(NULL, NULL, NULL, &data, &flags), last = 0;
    if (first == 0) {
        snprintf(out, size, "no reason given");
        return out;
    }
    const char *reason = ERR_reason_error_string(first);
    size_t used = (size_t)snprintf(out, size, "%s%s%s", reason != NULL ? reason : "unknown error",
                                   (flags & ERR_TXT_STRING) != 0 ? ": " : "",
                                   (flags & ERR_TXT_STRING) != 0 ? data : "");
    /* The first entry is the cause; the last is its effect on the handshake. */
    for (unsigned long code; (code = ERR_get_error_all(NULL, NULL, NULL, &last_data, &last_flags)) != 0;)
        last = code;
    reason = last != 0 ? ERR_reason_error_string(last) : NULL;
    if (reason != NULL && ERR_GET_REASON(last) != ERR_GET_REASON(first) && used < size)
        snprintf(out + used, size - used, "; %s", reason);
    return out;
}
