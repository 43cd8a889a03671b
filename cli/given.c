#include "cli/given.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cli/files.h"
#include "common/address.h"
#include "common/config_value.h"
#include "common/contents.h"
#include "common/listening.h"
#include "common/shell.h"
#include "edge/certs/certs_hint.h"
#include "keyserver/rules/key_hint.h"

static int check_cert(const char *file, unsigned contents, struct fault *fault)
{
    if ((contents & CONTENTS_KEYS) != 0 && (contents & CONTENTS_CERTIFICATE) != 0)
        return fault_set(
            fault, ERR_CONFIG,
            "%s: a private key is in it, beside the certificate; an edge must not have one: give a "
            "file without it, made with: openssl crl2pkcs7 -nocrl -certfile %s | openssl pkcs7 "
            "-print_certs -out chain.pem",
            file, SHELL_WORD(file));
    if ((contents & (CONTENTS_PKCS12 | CONTENTS_JAVA)) != 0)
        return fault_set(
            fault, ERR_CONFIG,
            "%s: is a key store with a private key, as a rule; an edge must not have one: give the "
            "chain alone, made with: openssl pkcs12 -nokeys -in %s -out chain.pem",
            file, SHELL_WORD(file));
    if ((contents & CONTENTS_KEYS) != 0)
        return fault_set(
            fault, ERR_CONFIG,
            "%s: is a private key, which an edge must not have; --cert takes the certificate, and "
            "the key goes to the key server: keyless init --server --key %s",
            file, SHELL_WORD(file));
    return (contents & CONTENTS_CERTIFICATE) != 0 ? 0 : certs_hint_form(file, contents, fault);
}

static int check_key(const char *file, unsigned contents, struct fault *fault)
{
    if ((contents & (CONTENTS_PKCS12 | CONTENTS_JAVA | CONTENTS_SSH | CONTENTS_UTF16)) != 0)
        return key_hint_form(file, contents, fault);
    if ((contents & CONTENTS_PRIVATE_KEY) != 0)
        return 0;
    if ((contents & (CONTENTS_CERTIFICATE | CONTENTS_TRUSTED | CONTENTS_PKCS7 | CONTENTS_DER)) != 0)
        return fault_set(fault, ERR_CONFIG,
                         "%s: is a certificate, and no private key is in it; --key takes the key, and the "
                         "certificate goes to the edge: keyless init --edge --cert %s",
                         file, SHELL_WORD(file));
    return fault_set(fault, ERR_CONFIG, "%s: no private key is in it; --key takes a PEM or DER private key",
                     file);
}

/* NAME has one of the extensions that the daemons look for. */
static bool has_extension(const char *name, const char *const extensions[])
{
    const char *end = strrchr(name, '.');
    for (; end != NULL && *extensions != NULL; extensions++)
        if (strcasecmp(end, *extensions) == 0)
            return true;
    return false;
}

/* What the configuration beside FOLDER, that of the keys, has to say of the encrypted key in its file NAME.
 */
static void say_encrypted(const char *folder, const char *name)
{
    const char *end = strrchr(folder, '/'), *dot = strrchr(name, '.');
    int above = (int)(end != NULL ? (size_t)(end - folder) : strlen(folder));
    size_t stem = dot != NULL ? (size_t)(dot - name) : strlen(name);
    /* What is no title of a section has none of its own, and no file with its name either. */
    const bool titled = config_value_is_title(name, stem);
    const char *file = titled ? name : "passphrase";
    const int length = (int)(titled ? stem : strlen(file));
    fprintf(stderr,
            "keyless init: %s/%s is encrypted: write its passphrase, one line, into %.*s/%.*s.pass (mode "
            "0400), and into %.*s/server.conf: %s%.*s { passphrase_file = '%.*s.pass' }\n",
            folder, name, above, folder, length, file, above, folder, titled ? "key " : "key_default",
            titled ? length : 0, file, length, file);
}

struct kind {
    int (*check)(const char *file, unsigned contents, struct fault *fault);
    const char *const *extensions; /* NULL-ended */
    mode_t mode;
};

/* A name that the daemon would not look at gets an extension that it does. */
static int copy_given(const struct kind *kind, const char *file, const char *folder, struct fault *fault)
{
    struct files_content content;
    char name[FILES_PATH_MAX], path[FILES_PATH_MAX];
    int err = files_read(&content, file, fault);
    if (err != 0)
        return err;
    const char *base = files_base_name(file);
    bool pem = memmem(content.bytes, content.length, "-----BEGIN ", 11) != NULL;
    const char *extension = has_extension(base, kind->extensions) ? "" : pem ? ".pem" : ".der";
    if (snprintf(name, sizeof name, "%s%s", base, extension) >= (int)sizeof name)
        err = fault_set(fault, ERR_LENGTH, "%s: the name is too long", file);
    if (err == 0)
        err = kind->check(file, contents_tell(content.bytes, content.length), fault);
    if (err == 0)
        err = files_path(path, folder, name, fault);
    if (err == 0)
        err = files_make(path, kind->mode, content.bytes, content.length, fault);
    if (err == 0 && (contents_tell(content.bytes, content.length) & CONTENTS_ENCRYPTED) != 0)
        say_encrypted(folder, name);
    files_content_clear(&content);
    return err;
}

int given_cert_copy(const char *file, const char *folder, struct fault *fault)
{
    static const char *const extensions[] = {".pem", ".crt", ".cer", NULL};
    static const struct kind kind = {.check = check_cert, .extensions = extensions, .mode = 0644};
    return copy_given(&kind, file, folder, fault);
}

int given_key_copy(const char *file, const char *folder, struct fault *fault)
{
    static const char *const extensions[] = {".pem", ".key", ".der", NULL};
    static const struct kind kind = {.check = check_key, .extensions = extensions, .mode = 0400};
    return copy_given(&kind, file, folder, fault);
}

int given_text_check(const char *option, const char *text, struct fault *fault)
{
    if (text == NULL || config_value_is_text(text))
        return 0;
    return fault_set(
        fault, ERR_CONFIG,
        "%s has a tab, line end or other control character, which no configuration can hold; name "
        "another",
        option);
}

int given_target_check(const char *option, const char *text, uint16_t port, struct fault *fault)
{
    struct address address;
    struct fault why = {.text = ""};
    char host[ADDRESS_HOST_SIZE];
    int err = given_text_check(option, text, fault);
    if (err != 0 || text == NULL)
        return err;
    err = address_parse_target(&address, host, text, port, &why);
    return err == 0 ? 0 : fault_set(fault, err, "%s %s", option, why.text);
}

int given_listen_check(const char *option, const char *text, uint16_t port, struct fault *fault)
{
    struct fault why = {.text = ""};
    int err = given_text_check(option, text, fault);
    if (err != 0)
        return err;
    err = listening_check_one(text, port, &why);
    return err == 0 ? 0 : fault_set(fault, err, "%s %s", option, why.text);
}
