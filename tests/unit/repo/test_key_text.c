/* The repository key on paper: what is written is read back, and no slip goes unnoticed. */
#include "tests/lib/test.h"

#include <ctype.h>

#include "repo/object/key_text.h"

static struct err err;

static struct repo_key key_example(void)
{
    struct repo_key k;

    for (size_t i = 0; i < sizeof k.bytes; i++)
        k.bytes[i] = (uint8_t)i;
    return k;
}

static void reads_as(const char *text, const struct repo_key *expected)
{
    struct repo_key k = {{0}};

    OK(key_text_parse(text, strlen(text), &k, &err), &err);
    assert_memory_equal(&k, expected, sizeof k);
}

static void refused(const char *text, const char *says)
{
    struct repo_key k;

    FAILS(key_text_parse(text, strlen(text), &k, &err), &err, ERR_KEY);
    if (strstr(err.msg, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}

static void what_is_written_is_read(void **state)
{
    const struct repo_key k = key_example();
    AUTO(buf_free) struct buf text = BUF_INIT;

    (void)state;
    key_text_format(&k, &text);
    assert_string_equal(buf_text(&text), "key 1: 0001 0203 0405 0607  de7d\n"
                                         "key 2: 0809 0a0b 0c0d 0e0f  2422\n"
                                         "key 3: 1011 1213 1415 1617  2835\n"
                                         "key 4: 1819 1a1b 1c1d 1e1f  91a0\n");
    reads_as(buf_text(&text), &k);
}

static void form_and_surroundings_do_not_matter(void **state)
{
    const struct repo_key k = key_example();
    AUTO(buf_free) struct buf text = BUF_INIT, other = BUF_INIT;

    (void)state;
    key_text_format(&k, &text);
    buf_adds(&other, "THE KEY\n\nkey file, keyhole, key 5: no\n");
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == ' ')
            continue;
        if (text.p[i] == '\n')
            buf_addc(&other, '\r');
        buf_addc(&other, (char)toupper((unsigned char)text.p[i]));
    }
    other.len--; /* the last end of line */
    reads_as(buf_text(&other), &k);
}

static void every_changed_digit_is_found(void **state)
{
    const struct repo_key k = key_example();
    AUTO(buf_free) struct buf text = BUF_INIT;

    (void)state;
    key_text_format(&k, &text);
    for (size_t i = 0; i < text.len; i++) {
        const char was = text.p[i];
        struct repo_key got;

        if (!isxdigit((unsigned char)was) || i % 33 < 7)
            continue;
        text.p[i] = was == '7' ? '1' : '7';
        FAILS(key_text_parse(text.p, text.len, &got, &err), &err, ERR_KEY);
        text.p[i] = was;
    }
}

static void lines_that_are_missing_or_wrong_are_named(void **state)
{
    (void)state;
    refused("", "\"key 1:\" is missing");
    refused("key 1: 0001 0203 0405 0607  de7d\n", "\"key 2:\" is missing");
    refused("key 1: 0001 0203 0405 0607  de7d\nkey 1: 0001 0203 0405 0607  de7d", "twice");
    refused("key 2: 0001 0203 0405 0607  de7d\n", "\"key 2:\" is mistyped"); /* of another line */
    refused("key 1: 0001 0203 0405 0607  de7\n", "\"key 1:\" is mistyped");
    refused("key 1: 0001 0203 0405 0607  de7d0\n", "\"key 1:\" is mistyped");
    refused("key 1: OOO1 0203 0405 0607  de7d\n", "\"key 1:\" is mistyped");
    refused("key 1:", "\"key 1:\" is mistyped");
    refused("key", "\"key 1:\" is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(form_and_surroundings_do_not_matter),
        cmocka_unit_test(every_changed_digit_is_found),
        cmocka_unit_test(lines_that_are_missing_or_wrong_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
