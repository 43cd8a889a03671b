#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/contents.h"

static void pem_is_told_by_its_labels(void **state)
{
    static const struct {
        const char *text;
        unsigned contents;
    } texts[] = {
        {"", 0},
        {"hello\n", 0},
        {"-----BEGIN CERTIFICATE-----\n", CONTENTS_CERTIFICATE},
        {"x\n-----BEGIN X509 CERTIFICATE-----\n", CONTENTS_CERTIFICATE},
        {"-----BEGIN TRUSTED CERTIFICATE-----\n", CONTENTS_TRUSTED},
        {"-----BEGIN PKCS7-----\n", CONTENTS_PKCS7},
        {"-----BEGIN CERTIFICATE REQUEST-----\n", CONTENTS_REQUEST},
        {"-----BEGIN PUBLIC KEY-----\n", CONTENTS_PUBLIC_KEY},
        {"-----BEGIN PRIVATE KEY-----\n", CONTENTS_PRIVATE_KEY},
        {"-----BEGIN RSA PRIVATE KEY-----\n", CONTENTS_PRIVATE_KEY},
        {"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", CONTENTS_PRIVATE_KEY | CONTENTS_ENCRYPTED},
        {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
         CONTENTS_PRIVATE_KEY | CONTENTS_ENCRYPTED},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\n", CONTENTS_PRIVATE_KEY | CONTENTS_SSH},
        {"\xff\xfe-", CONTENTS_UTF16},
        {"\xfe\xff", CONTENTS_UTF16},
        {"-----BEGIN KEYLESS PRIVATE KEY-----\n", 0},
        {"-----BEGIN KEYLESS PRIVATE KEY-----\n-----BEGIN EC PRIVATE KEY-----\n", CONTENTS_PRIVATE_KEY},
        {"-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----",
         CONTENTS_CERTIFICATE | CONTENTS_PRIVATE_KEY},
        {"PRIVATE KEY-----", CONTENTS_PRIVATE_KEY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (contents_tell((const uint8_t *)texts[i].text, strlen(texts[i].text)) != texts[i].contents)
            fail_msg("%s", texts[i].text);
}

#define DER(...)                                                                                             \
    {                                                                                                        \
        {__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}),                                               \
    }

static void der_is_told_by_its_first_elements(void **state)
{
    static const struct {
        struct {
            uint8_t bytes[24];
            size_t length;
        } der;
        unsigned contents;
    } files[] = {
        {DER(0x30, 6, 2, 1, 0, 0x30, 1, 0), CONTENTS_PRIVATE_KEY},    /* PKCS #8 */
        {DER(0x30, 6, 2, 1, 0, 2, 1, 5), CONTENTS_PRIVATE_KEY},       /* PKCS #1 */
        {DER(0x30, 6, 2, 1, 1, 4, 1, 5), CONTENTS_PRIVATE_KEY},       /* SEC 1 */
        {DER(0x30, 0x81, 6, 2, 1, 1, 4, 1, 5), CONTENTS_PRIVATE_KEY}, /* length in two bytes */
        {DER(0x30, 8, 0x30, 3, 6, 1, 42, 4, 1, 9), CONTENTS_PRIVATE_KEY | CONTENTS_ENCRYPTED}, /* PKCS #8 */
        {DER(0x30, 5, 2, 1, 3, 0x30, 0), CONTENTS_PKCS12},                                     /* PKCS #12 */
        {DER(0xfe, 0xed, 0xfe, 0xed, 0), CONTENTS_JAVA},
        {DER(0x30, 3, 6, 1, 42), CONTENTS_PKCS7 | CONTENTS_DER},  /* PKCS #7 */
        {DER(0x30, 7, 0x30, 3, 2, 1, 2, 0x30, 0), CONTENTS_DER},  /* a certificate */
        {DER(0x30, 8, 0x30, 3, 6, 1, 42, 3, 1, 0), CONTENTS_DER}, /* a public key */
        {DER(0x30, 6, 2, 1, 0, 2, 1), 0},                         /* cut off */
        {DER(0x30, 0x85, 1, 1, 1, 1, 1), 0},                      /* absurd length */
        {DER(0x30, 0x80, 2, 1, 0), 0},                            /* indefinite length */
        {DER(0x30, 0x80, 2, 1, 3, 0x30, 0x80), CONTENTS_PKCS12},
        {DER(0x30, 0x80, 6, 1, 42), CONTENTS_PKCS7 | CONTENTS_DER},
        {DER(0x30, 0x80), 0},
        {DER(0x30), 0},
        {DER(0x30, 0), 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (contents_tell(files[i].der.bytes, files[i].der.length) != files[i].contents)
            fail_msg("file %zu", i);
}

static void keys_of_a_file_are_counted(void **state)
{
    static const struct {
        const char *text;
        size_t count;
    } texts[] = {
        {"", 0},
        {"-----BEGIN ", 0},
        {"-----BEGIN PRIVATE KEY", 0},
        {"-----BEGIN PRIVATE KEY-----", 1},
        {"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----", 1},
        {"-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n"
         "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
         2},
        {"-----BEGIN KEYLESS PRIVATE KEY-----\n-----BEGIN PRIVATE KEY-----\n", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (contents_count_keys((const uint8_t *)texts[i].text, strlen(texts[i].text)) != texts[i].count)
            fail_msg("%s", texts[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pem_is_told_by_its_labels),
        cmocka_unit_test(keys_of_a_file_are_counted),
        cmocka_unit_test(der_is_told_by_its_first_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
