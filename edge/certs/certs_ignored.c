#include "edge/certs/certs_ignored.h"

#include <openssl/x509.h>
#include <string.h>
#include <strings.h>

#include "common/contents.h"
#include "common/path.h"
#include "common/shell.h"
#include "edge/certs/certs_folder.h"
#include "edge/certs/certs_hint.h"

/* Extensions of files that hold certificates, or keys with them, in any form. */
static const char *const extensions[] = {".pem", ".crt", ".cer", ".cert", ".der", ".p7b",
                                         ".p7c", ".p12", ".pfx", ".jks",  NULL};

static bool is_named_so(const char *path)
{
    const char *end = path_extension(path);
    for (size_t i = 0; end != NULL && extensions[i] != NULL; i++)
        if (strcasecmp(end, extensions[i]) == 0)
            return true;
    return false;
}

/* Any text that begins with a 0 may look like DER. */
static bool is_certificate_in_der(const uint8_t *bytes, size_t length)
{
    X509 *cert = d2i_X509(NULL, &bytes, (long)length);
    X509_free(cert);
    return cert != NULL;
}

static bool looks_so(const char *path, unsigned contents, const uint8_t *bytes, size_t length)
{
    const unsigned certain = CONTENTS_CERTIFICATE | CONTENTS_TRUSTED;
    if ((contents & certain) != 0 || ((contents & CONTENTS_PKCS7) != 0 && (contents & CONTENTS_DER) == 0))
        return true;
    return is_named_so(path) || ((contents & CONTENTS_DER) != 0 && is_certificate_in_der(bytes, length));
}

bool certs_ignored_look(const char *path, const uint8_t *bytes, size_t length, int error, struct fault *why)
{
    unsigned contents = bytes == NULL ? 0 : contents_tell(bytes, length);
    if (!looks_so(path, contents, bytes, length))
        return false;
    if (bytes == NULL)
        fault_set(
            why, ERR_CONFIG,
            "%s: its name is that of a certificate or key, and it cannot be read: %s; let this user read "
            "it, or take it away",
            path, strerror(error));
    else if (certs_folder_is_name(path)) /* too deep to be read */
        fault_set(why, ERR_CONFIG,
                  "%s: lies more than %d folders below that of certificates and is not read; move it up, or "
                  "take it away",
                  path, CERTS_FOLDER_DEPTH);
    else if ((contents & (CONTENTS_CERTIFICATE | CONTENTS_TRUSTED | CONTENTS_PKCS7)) == CONTENTS_CERTIFICATE)
        fault_set(why, ERR_CONFIG,
                  "%s: holds a certificate and is not read, since its name ends in none of .pem, .crt, .cer; "
                  "run: mv %s %s.pem, or take it away",
                  path, SHELL_WORD(path), SHELL_WORD(path));
    else
        (void)!certs_hint_form(path, contents, why);
    return true;
}

void certs_ignored_folder(const char *path, struct fault *why)
{
    fault_set(
        why, ERR_CONFIG,
        "%s: this folder is too deep below that of certificates to be looked into; move it up, or take it "
        "away",
        path);
}
