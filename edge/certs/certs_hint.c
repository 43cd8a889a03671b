#include "edge/certs/certs_hint.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/contents.h"
#include "common/shell.h"

/* As certbot names it: privkey.pem, and privkey7.pem in its archive. */
static bool is_of_certbot(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    if (strncmp(name, "privkey", 7) != 0)
        return false;
    name += 7;
    return strcmp(name + strspn(name, "0123456789"), ".pem") == 0;
}

int certs_hint_key(const char *path, struct fault *fault)
{
    if (is_of_certbot(path))
        return fault_set(
            fault, ERR_CONFIG,
            "%s: this file holds a private key; an edge must not have one: certbot keeps the key "
            "beside the chain, so move it all to the key server's machine, let certbot's "
            "--deploy-hook copy fullchain.pem alone to this one, and have a new key certified: "
            "this one has been here",
            path);
    return fault_set(fault, ERR_CONFIG,
                     "%s: this file holds a private key; an edge must not have one: move it to the key "
                     "server and leave the certificates here",
                     path);
}

/* The first row that fits is used. */
static const struct {
    unsigned contents; /* all of these bits */
    const char *why;
    const char *command; /* makes FILE.pem of FILE, which follows */
    const char *rest;    /* follows FILE */
} forms[] = {
    {CONTENTS_UTF16, "is text in UTF-16", "iconv -f UTF-16 -t ASCII", ">"},
    {CONTENTS_TRUSTED | CONTENTS_CERTIFICATE,
     "holds a TRUSTED CERTIFICATE, OpenSSL's own form, beside others", "openssl crl2pkcs7 -nocrl -certfile",
     "| openssl pkcs7 -print_certs -out"},
    {CONTENTS_TRUSTED, "holds a TRUSTED CERTIFICATE, OpenSSL's own form", "openssl x509 -in", "-out"},
    {CONTENTS_PKCS7 | CONTENTS_DER, "is a PKCS #7 bundle", "openssl pkcs7 -inform der -print_certs -in",
     "-out"},
    {CONTENTS_PKCS7, "is a PKCS #7 bundle", "openssl pkcs7 -print_certs -in", "-out"},
    {CONTENTS_DER, "looks like DER", "openssl x509 -inform der -in", "-out"},
};

int certs_hint_form(const char *path, unsigned contents, struct fault *fault)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if ((contents & forms[i].contents) == forms[i].contents)
            return fault_set(fault, ERR_CONFIG,
                             "%s: it %s, which is not read; run: %s %s %s %s.pem, and take this file away",
                             path, forms[i].why, forms[i].command, SHELL_WORD(path), forms[i].rest,
                             SHELL_WORD(path));
    if ((contents & CONTENTS_REQUEST) != 0)
        return fault_set(
            fault, ERR_CONFIG,
            "%s: no PEM certificate in it, only a request for one; put the certificate here that the "
            "authority has issued for it",
            path);
    return fault_set(fault, ERR_CONFIG,
                     "%s: no PEM certificate in it; put a chain here, the leaf first, or take the file away",
                     path);
}
