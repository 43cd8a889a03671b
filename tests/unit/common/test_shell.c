#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/shell.h"

static void a_word_is_quoted_where_it_must_be(void **state)
{
    static const struct {
        const char *text, *word;
    } words[] = {
        {"/etc/keyless/server-1_a.conf", "/etc/keyless/server-1_a.conf"},
        {"a:b,c@d%e+f", "a:b,c@d%e+f"},
        {"", "''"},
        {"/x/sp ace", "'/x/sp ace'"},
        {"it's", "'it'\\''s'"},
        {"'", "''\\'''"},
        {"~root", "'~root'"},
        {"a=b", "'a=b'"},
        {"$(id)`id`", "'$(id)`id`'"},
        {"a\nb\\c\"d", "'a\nb\\c\"d'"},
        {"caf\xc3\xa9", "'caf\xc3\xa9'"},
        {"-rf", "./-rf"},
        {"-r f", "./'-r f'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_string_equal(SHELL_WORD(words[i].text), words[i].word);
    assert_string_equal(SHELL_WORD_PART("a b.pem", 3), "'a b'");
    assert_string_equal(SHELL_WORD_PART("a b.pem", 1), "a");
}

/* Every byte but 0, as a shell reads it. */
static void a_shell_reads_the_text_again(void **state)
{
    char text[256], command[2 * SHELL_WORD_SIZE], read[512];
    (void)state;
    for (size_t i = 0; i < 255; i++)
        text[i] = (char)(i + 1);
    text[255] = 0;
    snprintf(command, sizeof command, "LC_ALL=C; printf %%s %s", SHELL_WORD(text));
    FILE *shell = popen(command, "r");
    assert_non_null(shell);
    size_t length = fread(read, 1, sizeof read, shell);
    assert_int_equal(pclose(shell), 0);
    assert_int_equal(length, 255);
    assert_memory_equal(read, text, 255);
}

static void what_has_no_room_is_not_cut(void **state)
{
    char text[SHELL_WORD_SIZE + 1];
    struct shell_room room;
    (void)state;
    memset(text, 'a', sizeof text);
    assert_int_equal(strlen(shell_word(&room, text, SHELL_WORD_SIZE - 1)), SHELL_WORD_SIZE - 1);
    assert_string_equal(shell_word(&room, text, SHELL_WORD_SIZE), SHELL_WORD_TOO_LONG);
    text[0] = '-';
    assert_string_equal(shell_word(&room, text, SHELL_WORD_SIZE - 2), SHELL_WORD_TOO_LONG);
    text[0] = ' ';
    assert_int_equal(strlen(shell_word(&room, text, SHELL_WORD_SIZE - 3)), SHELL_WORD_SIZE - 1);
    assert_string_equal(shell_word(&room, text, SHELL_WORD_SIZE - 2), SHELL_WORD_TOO_LONG);
    memset(text, '\'', sizeof text);
    assert_string_equal(shell_word(&room, text, SHELL_WORD_SIZE / 4), SHELL_WORD_TOO_LONG);
}

static void a_fault_that_is_cut_says_so(void **state)
{
    struct fault fault;
    char text[sizeof fault.text + 8];
    (void)state;
    memset(text, 'a', sizeof text);
    text[sizeof fault.text - 1] = 0;
    assert_int_equal(fault_set(&fault, ERR_CONFIG, "%s", text), ERR_CONFIG);
    assert_string_equal(fault.text, text);
    text[sizeof fault.text - 1] = 'a';
    text[sizeof text - 1] = 0;
    assert_int_equal(fault_set(&fault, ERR_CONFIG, "%s", text), ERR_CONFIG);
    assert_int_equal(strlen(fault.text), sizeof fault.text - 1);
    assert_string_equal(fault.text + sizeof fault.text - 4, "…");
    memcpy(text + sizeof fault.text - 5, "é", 2); /* its second byte is where the mark would begin */
    assert_int_equal(fault_set(&fault, ERR_CONFIG, "%s", text), ERR_CONFIG);
    assert_string_equal(fault.text + sizeof fault.text - 5, "…");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_is_quoted_where_it_must_be),
        cmocka_unit_test(a_shell_reads_the_text_again),
        cmocka_unit_test(what_has_no_room_is_not_cut),
        cmocka_unit_test(a_fault_that_is_cut_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
