#include "tests/lib/test.h"

#include <string.h>

#include "base/utf8.h"

static void what_steers_a_terminal_or_is_no_character_is_replaced(void **state)
{
    static const struct {
        const char *from, *to;
    } table[] = {
        {"", ""},
        {"plain", "plain"},
        {"a\033[2Jb\nc\td\177", "a [2Jb c d "},
        {"\xc2\x9b"
         "31m",
         "  31m"},                                                        /* CSI in one character */
        {"\xc2\xa0\xc3\xbc\xe2\x82\xac", "\xc2\xa0\xc3\xbc\xe2\x82\xac"}, /* none of these */
        {"\x9b"
         "31m\xff",
         "?31m?"},
        {"cut \xe2\x82", "cut ??"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        char text[32];

        strcpy(text, table[i].from);
        utf8_clean(text);
        assert_string_equal(text, table[i].to);
    }
}

/* A message is put together from what files, servers and networks say. */
static void a_message_of_an_error_can_be_shown(void **state)
{
    struct err err = {0};
    (void)state;

    FAILS(err_set(&err, ERR_CORRUPT, "it says \"%s\"", "\033]0;x\a\r\n"), &err, ERR_CORRUPT);
    assert_string_equal(err.msg, "it says \" ]0;x   \"");
    FAILS(err_context(&err, "of \"%s\"", "\xc2\x9b"), &err, ERR_CORRUPT);
    assert_string_equal(err.msg, "of \"  \": it says \" ]0;x   \"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_steers_a_terminal_or_is_no_character_is_replaced),
        cmocka_unit_test(a_message_of_an_error_can_be_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
