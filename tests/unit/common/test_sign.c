#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/secret.h"
#include "common/sign.h"
#include "tests/unit/remove_tree.h"

static char folder[] = "/tmp/keyless-sign-XXXXXX";
static struct fault fault;

static const char *in_folder(const char *name)
{
    static char path[2][128];
    static unsigned turn;
    char *out = path[turn++ % 2];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* RFC 8032, 7.1, tests 1 and 2. */
static void signatures_are_those_of_the_standard(void **state)
{
    static const struct {
        const char *seed, *public, *message, *signature;
    } vectors[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25"
         "bf5f0"
         "595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387"
         "b2eae"
         "b4302aeeb00d291612bb0c00"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t seed[SIGN_SEED_SIZE], message[1], signature[SIGN_SIZE];
        char text[2 * SIGN_SIZE + 1];
        struct sign_key key;
        size_t length = strlen(vectors[i].message) / 2;
        assert_int_equal(hex_decode(seed, sizeof seed, vectors[i].seed), 0);
        assert_int_equal(hex_decode(message, length, vectors[i].message), 0);
        sign_derive(&key, seed);
        assert_string_equal(hex_encode(text, key.public, sizeof key.public), vectors[i].public);
        sign_message(signature, &key, message, length);
        assert_string_equal(hex_encode(text, signature, sizeof signature), vectors[i].signature);
        assert_true(sign_verify(signature, key.public, message, length));
    }
}

static void nothing_else_verifies(void **state)
{
    static const uint8_t seed[SIGN_SEED_SIZE] = {1}, other_seed[SIGN_SEED_SIZE] = {2};
    struct sign_key key, other;
    uint8_t signature[SIGN_SIZE];
    (void)state;
    sign_derive(&key, seed);
    sign_derive(&other, other_seed);
    sign_message(signature, &key, "message", 7);
    assert_true(sign_verify(signature, key.public, "message", 7));
    assert_false(sign_verify(signature, key.public, "message", 6));
    assert_false(sign_verify(signature, key.public, "massage", 7));
    assert_false(sign_verify(signature, other.public, "message", 7));
    for (size_t i = 0; i < sizeof signature; i++) {
        signature[i] ^= 1;
        assert_false(sign_verify(signature, key.public, "message", 7));
        signature[i] ^= 1;
    }
}

static void the_key_file_is_that_of_an_identity(void **state)
{
    static const uint8_t seed[SIGN_SEED_SIZE] = {3};
    struct sign_key expected, *key;
    (void)state;
    sign_derive(&expected, seed);
    assert_int_equal(sign_load(&key, in_folder("none.key"), &fault), ERR_NOT_FOUND);
    assert_int_equal(identity_save_secret(in_folder("a.key"), seed, &fault), 0);
    assert_int_equal(sign_load(&key, in_folder("a.key"), &fault), 0);
    assert_memory_equal(key->public, expected.public, sizeof expected.public);
    assert_memory_equal(key->secret, expected.secret, sizeof expected.secret);
    secret_free(key);
    assert_int_equal(chmod(in_folder("a.key"), 0440), 0);
    assert_int_equal(sign_load(&key, in_folder("a.key"), &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "run: chmod 0400"));
    assert_int_equal(chmod(in_folder("a.key"), 0600), 0);
    write_text(in_folder("a.key"), "short\n");
    assert_int_equal(sign_load(&key, in_folder("a.key"), &fault), ERR_CONFIG);
}

static void the_public_half_is_for_everybody_to_read(void **state)
{
    static const uint8_t public[SIGN_PUBLIC_SIZE] = {4};
    uint8_t got[SIGN_PUBLIC_SIZE];
    struct stat info;
    (void)state;
    umask(077);
    assert_int_equal(sign_save_public(in_folder("a.pub"), public, &fault), 0);
    assert_int_equal(stat(in_folder("a.pub"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0444);
    assert_int_equal(info.st_size, 45);
    assert_int_equal(sign_load_public(got, in_folder("a.pub"), &fault), 0);
    assert_memory_equal(got, public, sizeof public);
    assert_int_equal(sign_save_public(in_folder("a.pub"), public, &fault), ERR_REFUSED);
    assert_non_null(strstr(fault.text, "exists already"));
    assert_int_equal(sign_save_public(in_folder("none/a.pub"), public, &fault), ERR_SYSTEM);
}

static void a_public_key_is_one_line_with_or_without_an_end(void **state)
{
    static const struct {
        const char *text;
        int err;
    } files[] = {
        {"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0},
        {"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0},
        {"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n", 0},
        {"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=x\n", ERR_CONFIG},
        {"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n", ERR_CONFIG},
        {"nonsense\n", ERR_CONFIG},
        {"", ERR_CONFIG},
    };
    uint8_t got[SIGN_PUBLIC_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        write_text(in_folder("b.pub"), files[i].text);
        assert_int_equal(sign_load_public(got, in_folder("b.pub"), &fault), files[i].err);
    }
    assert_int_equal(sign_load_public(got, in_folder("none.pub"), &fault), ERR_NOT_FOUND);
    assert_int_equal(sign_load_public(got, folder, &fault), ERR_CONFIG);
}

static int set_up(void **state)
{
    (void)state;
    return secret_init() != 0 || mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    return remove_tree(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_of_the_standard),
        cmocka_unit_test(nothing_else_verifies),
        cmocka_unit_test(the_key_file_is_that_of_an_identity),
        cmocka_unit_test(the_public_half_is_for_everybody_to_read),
        cmocka_unit_test(a_public_key_is_one_line_with_or_without_an_end),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
