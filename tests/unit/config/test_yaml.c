/* The tree of a YAML document: shape, places, aliases, merges, and hostile input. */
#include <stdio.h>
#include <string.h>

#include "config/yaml.h"
#include "tests/lib/test.h"

static struct document *parse(const char *text)
{
    struct document *doc = NULL;
    struct err err = {0};

    OK(document_read(text, strlen(text), &doc, &err), &err);
    return doc;
}

static void a_document_keeps_text_and_places(void **state)
{
    AUTO(document_free)
    struct document *doc = parse("a: 1\n"
                                 "list:\n"
                                 "  - x\n"
                                 "  - 'y z'\n"
                                 "map: {k: \"v\"}\n");
    const struct node *root = document_root(doc), *list = node_get(root, "list");
    (void)state;

    assert_int_equal(root->kind, NODE_MAP);
    assert_int_equal(root->n, 3);
    assert_string_equal(node_get(root, "a")->text, "1");
    assert_true(node_get(root, "a")->plain);
    assert_int_equal(list->kind, NODE_LIST);
    assert_string_equal(list->first->next->value->text, "y z");
    assert_false(list->first->next->value->plain);
    assert_int_equal(list->first->next->value->line, 4);
    assert_int_equal(list->first->next->value->column, 5);
    assert_string_equal(node_get(node_get(root, "map"), "k")->text, "v");
    assert_null(node_get(root, "nothing"));
    assert_null(node_get(list, "a"));
}

static void an_empty_file_is_an_empty_map(void **state)
{
    static const char *const texts[] = {"", "\n", "# only a comment\n", "---\n", "---\n...\n", "~"};
    (void)state;

    for (size_t i = 0; i < LENGTH(texts); i++) {
        AUTO(document_free) struct document *doc = parse(texts[i]);
        assert_int_equal(document_root(doc)->kind, NODE_MAP);
        assert_int_equal(document_root(doc)->n, 0);
    }
}

static void only_unquoted_nothing_is_null(void **state)
{
    AUTO(document_free) struct document *doc = parse("a:\nb: ~\nc: null\nd: ''\ne: 'null'\nf: 0\n");
    const struct node *root = document_root(doc);
    (void)state;

    assert_true(node_is_null(node_get(root, "a")));
    assert_true(node_is_null(node_get(root, "b")));
    assert_true(node_is_null(node_get(root, "c")));
    assert_false(node_is_null(node_get(root, "d")));
    assert_false(node_is_null(node_get(root, "e")));
    assert_false(node_is_null(node_get(root, "f")));
}

static void aliases_share_what_they_name(void **state)
{
    AUTO(document_free) struct document *doc = parse("a: &x {k: v}\nb: *x\nc: &x 2\nd: *x\n");
    const struct node *root = document_root(doc);
    (void)state;

    assert_ptr_equal(node_get(root, "a"), node_get(root, "b"));
    assert_string_equal(node_get(root, "d")->text, "2");
}

static void merge_keys_add_what_a_map_lacks(void **state)
{
    AUTO(document_free)
    struct document *doc = parse("base: &base {a: 1, b: 2}\n"
                                 "more: &more {b: 3, c: 4}\n"
                                 "first: {<<: *base, a: 9}\n"
                                 "last: {a: 9, <<: *base}\n"
                                 "only: {<<: *base}\n"
                                 "both: {<<: [*base, *more], d: 5}\n"
                                 "quoted: {'<<': 1}\n");
    const struct node *root = document_root(doc);
    (void)state;

    assert_string_equal(node_get(node_get(root, "first"), "a")->text, "9");
    assert_string_equal(node_get(node_get(root, "first"), "b")->text, "2");
    assert_int_equal(node_get(root, "first")->n, 2);
    assert_string_equal(node_get(node_get(root, "last"), "a")->text, "9");
    assert_string_equal(node_get(node_get(root, "last"), "b")->text, "2");
    assert_int_equal(node_get(root, "only")->n, 2);
    assert_null(node_get(node_get(root, "only"), "<<"));
    assert_string_equal(node_get(node_get(root, "both"), "b")->text, "2");
    assert_string_equal(node_get(node_get(root, "both"), "c")->text, "4");
    assert_string_equal(node_get(node_get(root, "both"), "d")->text, "5");
    assert_int_equal(node_get(root, "both")->n, 4);
    assert_string_equal(node_get(node_get(root, "quoted"), "<<")->text, "1");
}

static void foreign_tags_are_remembered(void **state)
{
    AUTO(document_free) struct document *doc = parse("a: !vault secret\nb: !!str 1\nc: ! 2\n");
    const struct node *root = document_root(doc);
    (void)state;

    assert_string_equal(node_get(root, "a")->tag, "!vault");
    assert_null(node_get(root, "b")->tag);
    assert_null(node_get(root, "c")->tag);
}

static void damaged_yaml_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text, *message;
    } table[] = {
        {"a: 1\na: 2\n", "line 2, column 1: the key \"a\" appears twice (first in line 1)"},
        {"a: {b: 1, 'b': 2}\n", "line 1, column 11: the key \"b\" appears twice (first in line 1)"},
        {"a: *nobody\n", "line 1, column 4: there is no anchor \"&nobody\""},
        {"a: &x [1, *x]\n", "line 1, column 11: an alias inside what it stands for"},
        {"a: 1\n---\nb: 2\n", "line 2, column 1: a second document (\"---\") in one file"},
        {"? [a, b]\n: 1\n", "line 1, column 3: a key must be plain text"},
        {"? {a: b}\n: 1\n", "line 1, column 3: a key must be plain text"},
        {"a: \"x\\0y\"\n", "line 1, column 4: text with a zero byte"},
        {"a: {<<: 1}\n", "line 1, column 9: \"<<\" needs a map, or a list of maps"},
        {"a: {<<: [1]}\n", "line 1, column 9: \"<<\" needs a map, or a list of maps"},
        {"a: [1, 2\n", "line 2, column 1: did not find expected ',' or ']' while parsing a flow "
                       "sequence (from line 1, column 4)"},
        {"a: b: c\n", "line 1, column 5: mapping values are not allowed in this context"},
        {"a: \"open\n", "line 2, column 1: found unexpected end of stream while scanning a quoted "
                        "scalar (from line 1, column 4)"},
        {"a:\n\t- b\n", "line 2, column 1: found character that cannot start any token while "
                        "scanning for the next token (from line 2, column 1)"},
        {"a: \xff\xfe\n", "not valid text at byte 3: invalid leading UTF-8 octet"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        AUTO(document_free) struct document *doc = NULL;
        struct err err = {0};

        FAILS(document_read(table[i].text, strlen(table[i].text), &doc, &err), &err, ERR_CONFIG);
        assert_string_equal(err.msg, table[i].message);
    }
}

static void fails_with(struct buf *text, const char *message)
{
    AUTO(document_free) struct document *doc = NULL;
    struct err err = {0};

    FAILS(document_read(text->p, text->len, &doc, &err), &err, ERR_CONFIG);
    assert_non_null(strstr(err.msg, message));
}

static void deep_nesting_is_refused(void **state)
{
    AUTO(buf_free) struct buf flow = BUF_INIT;
    AUTO(buf_free) struct buf block = BUF_INIT;
    (void)state;

    for (unsigned i = 0; i < 100000; i++)
        buf_addc(&flow, '[');
    fails_with(&flow, "line 1, column 33: nested too deeply");
    for (int i = 0; i < 40; i++)
        buf_addf(&block, "%*sa:\n", i, "");
    fails_with(&block, "nested too deeply");
}

static void a_billion_laughs_cost_nothing(void **state)
{
    AUTO(document_free) struct document *doc = NULL;
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct err err = {0};
    (void)state;

    buf_adds(&text, "a0: &a0 ha\n");
    for (int i = 1; i < 100; i++)
        buf_addf(&text, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1,
                 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    OK(document_read(text.p, text.len, &doc, &err), &err);
    assert_int_equal(node_get(document_root(doc), "a99")->n, 8);
}

static void merging_without_end_is_refused(void **state)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    (void)state;

    for (int m = 0; m < 10; m++) {
        buf_addf(&text, "m%d: &m%d {", m, m);
        for (int i = 0; i < 40; i++)
            buf_addf(&text, "k%d_%d: 1, ", m, i);
        buf_adds(&text, "}\n");
    }
    buf_adds(&text, "all: {<<: [*m0,*m1,*m2,*m3,*m4,*m5,*m6,*m7,*m8,*m9]}\n");
    fails_with(&text, "\"<<\" makes a map with too many keys");
}

static void too_many_anchors_or_entries_are_refused(void **state)
{
    AUTO(buf_free) struct buf anchors = BUF_INIT;
    AUTO(buf_free) struct buf entries = BUF_INIT;
    (void)state;

    for (int i = 0; i <= YAML_ANCHORS_MAX; i++)
        buf_addf(&anchors, "- &a%d x\n", i);
    fails_with(&anchors, "the file has too many anchors");
    for (int i = 0; i <= YAML_NODES_MAX / 2; i++)
        buf_adds(&entries, "- x\n");
    fails_with(&entries, "the file has too many entries");
}

static void duplicates_are_found_in_large_maps(void **state)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    (void)state;

    for (int i = 0; i < 5000; i++)
        buf_addf(&text, "key%d: 1\n", i);
    buf_adds(&text, "key1234: 2\n");
    fails_with(&text,
               "line 5001, column 1: the key \"key1234\" appears twice (first in line 1235)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_keeps_text_and_places),
        cmocka_unit_test(an_empty_file_is_an_empty_map),
        cmocka_unit_test(only_unquoted_nothing_is_null),
        cmocka_unit_test(aliases_share_what_they_name),
        cmocka_unit_test(merge_keys_add_what_a_map_lacks),
        cmocka_unit_test(foreign_tags_are_remembered),
        cmocka_unit_test(damaged_yaml_is_refused_with_its_place),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(a_billion_laughs_cost_nothing),
        cmocka_unit_test(merging_without_end_is_refused),
        cmocka_unit_test(too_many_anchors_or_entries_are_refused),
        cmocka_unit_test(duplicates_are_found_in_large_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
