#include "keyserver/rules/key_hint.h"

#include <string.h>

#include "common/config_value.h"
#include "common/contents.h"
#include "common/path.h"
#include "common/shell.h"
#include "keyserver/rules/server_config.h"

/* What another form becomes by a command: BEFORE, the file, BETWEEN, the new file, AFTER. The first that
 * fits.
 */
static const struct form {
    unsigned contents;
    const char *why, *before, *between, *after;
    const char *extension; /* of the new file; NULL: one that is read */
} forms[] = {
    {CONTENTS_UTF16, "is text in UTF-16", "(umask 077; iconv -f UTF-16 -t ASCII", ">", ")", NULL},
    {CONTENTS_PKCS12, "is a PKCS #12 key store", "openssl pkcs12 -nocerts -noenc -in", "-out", "", NULL},
    {CONTENTS_JAVA, "is a Java key store", "keytool -importkeystore -deststoretype pkcs12 -srckeystore",
     "-destkeystore", "", ".p12"},
};

/* What no command makes a key of. */
static const struct {
    unsigned contents;
    const char *why;
} others[] = {
    {CONTENTS_SSH, "holds a key of SSH, which no certificate was issued for; put the key of the certificate "
                   "here, or take the file away"},
    {CONTENTS_PRIVATE_KEY, "not a private key that can be read: damaged or cut off; take it from a backup"},
    {CONTENTS_TRUSTED, "holds no private key, but a TRUSTED CERTIFICATE"},
    {CONTENTS_PKCS7, "holds no private key, but a PKCS #7 bundle of certificates"},
    {CONTENTS_CERTIFICATE, "holds no private key, but a certificate"},
    {CONTENTS_REQUEST, "holds no private key, but a request for a certificate"},
    {CONTENTS_PUBLIC_KEY, "holds no private key, but a public key"},
    {CONTENTS_DER, "holds no private key, but a certificate or public key in DER"},
};

/* The part of PATH before its extension. */
static size_t stem_length(const char *path)
{
    const char *dot = path_extension(path);
    return dot != NULL ? (size_t)(dot - path) : strlen(path);
}

static int say_form(const struct form *form, const char *path, struct fault *fault)
{
    size_t stem = stem_length(path);
    const char *extension = form->extension != NULL            ? form->extension
                            : strcmp(path + stem, ".pem") == 0 ? ".key"
                                                               : ".pem";
    return fault_set(fault, ERR_CONFIG, "%s: %s; run: %s %s %s %s%s%s, and take this file away", path,
                     form->why, form->before, SHELL_WORD(path), form->between, SHELL_WORD_PART(path, stem),
                     extension, form->after);
}

int key_hint_form(const char *path, unsigned contents, struct fault *fault)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if ((contents & forms[i].contents) != 0)
            return say_form(&forms[i], path, fault);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if ((contents & others[i].contents) != 0)
            return fault_set(
                fault, ERR_CONFIG, "%s: %s%s", path, others[i].why,
                strchr(others[i].why, ';') != NULL
                    ? ""
                    : "; what is not secret belongs on the edge: move it there, and put the key here");
    return fault_set(fault, ERR_CONFIG,
                     "%s: not a private key in PEM or DER; look at it with: openssl pkey -in %s -noout", path,
                     SHELL_WORD(path));
}

int key_hint_several(const char *path, size_t count, struct fault *fault)
{
    return fault_set(fault, ERR_CONFIG,
                     "%s: holds %zu private keys, and which of them is meant nothing says; run: (umask 077; "
                     "csplit -z -f %s- -b %%02d.pem %s '/-----BEGIN .*PRIVATE KEY/' '{*}'), and take this "
                     "file away",
                     path, count, SHELL_WORD_PART(path, stem_length(path)), SHELL_WORD(path));
}

int key_hint_encrypted(const char *path, const char *name, size_t length, struct fault *fault)
{
    const bool titled = config_value_is_title(name, length); /* by others no section is found */
    return fault_set(
        fault, ERR_CONFIG,
        "%s: encrypted, and nobody is asked for a passphrase; write it into a file, mode 0400, and into %s: "
        "%s%.*s%s { passphrase_file = '…' }; or run: openssl pkey -in %s -out %s.new && mv %s.new %s",
        path, server_config_file()[0] != 0 ? server_config_file() : "the key server's configuration",
        titled ? "key '" : "key_default", titled ? (int)length : 0, name, titled ? "'" : "", SHELL_WORD(path),
        SHELL_WORD(path), SHELL_WORD(path), SHELL_WORD(path));
}

int key_hint_explicit(const char *path, struct fault *fault)
{
    return fault_set(
        fault, ERR_CONFIG,
        "%s: its curve is spelled out (explicit parameters), which no certificate may have; run: "
        "openssl ec -in %s -param_enc named_curve -out %s.new && mv %s.new %s",
        path, SHELL_WORD(path), SHELL_WORD(path), SHELL_WORD(path), SHELL_WORD(path));
}

int key_hint_ignored(const char *path, unsigned contents, bool is_pem, struct fault *fault)
{
    if ((contents & (CONTENTS_PKCS12 | CONTENTS_JAVA)) != 0)
        return key_hint_form(path, contents, fault);
    return fault_set(fault, ERR_CONFIG,
                     "%s: holds a private key and is not read, since its name ends in none of .pem, .key, "
                     ".der; run: mv %s %s%s, or take it away",
                     path, SHELL_WORD(path), SHELL_WORD(path), is_pem ? ".pem" : ".der");
}
