#include "edge/provider/openssl_error.h"

#include <openssl/err.h>
#include <openssl/proverr.h>
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

/* True for reasons that ciphers and key exchanges of OpenSSL's providers give for malformed input. */
static bool is_of_bytes(int reason)
{
    switch (reason) {
    case PROV_R_BAD_DECRYPT:
    case PROV_R_BAD_LENGTH:
    case PROV_R_CIPHER_OPERATION_FAILED:
    case PROV_R_FAILED_DURING_DERIVATION:
    case PROV_R_INVALID_AAD:
    case PROV_R_INVALID_DATA:
    case PROV_R_INVALID_INPUT_LENGTH:
    case PROV_R_INVALID_KEY:
    case PROV_R_INVALID_KEY_LENGTH:
    case PROV_R_INVALID_TAG:
    case PROV_R_INVALID_TAG_LENGTH:
    case PROV_R_WRONG_FINAL_BLOCK_LENGTH:
        return true;
    default:
        return false;
    }
}

bool openssl_error_is_of_peer(void)
{
    unsigned long cause = ERR_peek_error(); /* the entries behind it are its effects */
    /* Lack of memory and internal errors of OpenSSL have reasons that all its libraries share. */
    if (cause == 0 || ERR_SYSTEM_ERROR(cause) || ERR_COMMON_ERROR(cause))
        return false;
    switch (ERR_GET_LIB(cause)) {
    case ERR_LIB_PROV:
        return is_of_bytes(ERR_GET_REASON(cause));
    case ERR_LIB_EC:
    case ERR_LIB_DH:
        return true; /* the private key is remote, so only the peer's share is left to fail */
    default:
        return false;
    }
}
