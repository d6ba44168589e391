/* The status as JSON: its shape, as docs/monitoring/README.md tells it. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/page/status_json.h"
#include "tests/lib/status_fixture.h"
#include "tests/lib/test.h"

static json_t *status_of(const struct status *s)
{
    AUTO(buf_free) struct buf out = BUF_INIT;
    json_error_t why;
    json_t *root;

    status_json_write(s, FIXTURE_NOW, &out);
    root = json_loadb(out.p, out.len, 0, &why);
    if (root == NULL)
        fail_msg("line %d: %s", why.line, why.text);
    return root;
}

static void put(json_t **j)
{
    json_decref(*j);
    *j = NULL;
}

static json_t *cluster_of(json_t *root, const char *name)
{
    json_t *all = json_object_get(root, "clusters");

    for (size_t i = 0; i < json_array_size(all); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(all, i), "name")), name) == 0)
            return json_array_get(all, i);
    fail_msg("no cluster %s", name);
    return NULL;
}

static const char *text_of(json_t *j, const char *key)
{
    const char *text = json_string_value(json_object_get(j, key));

    if (text == NULL)
        fail_msg("\"%s\" is no text", key);
    return text;
}

static json_t *first(json_t *j, const char *key)
{
    json_t *member = json_object_get(j, key);

    if (json_array_size(member) == 0)
        fail_msg("\"%s\" is empty", key);
    return json_array_get(member, 0);
}

static void all_parts_are_there(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(put) json_t *root = status_of(s);
    json_t *good = cluster_of(root, "pg-main"), *repo = first(good, "repositories");
    (void)state;

    assert_int_equal(json_integer_value(json_object_get(root, "format")), 1);
    assert_string_equal(text_of(root, "now"), "2026-11-29T11:00:00.000000Z");
    assert_string_equal(text_of(good, "state"), "protected");
    assert_string_equal(text_of(good, "instance"), "pg-main-1");
    assert_string_equal(text_of(repo, "name"), "local");
    assert_true(json_number_value(json_object_get(repo, "age_seconds")) == 130);
    assert_true(json_number_value(json_object_get(repo, "rpo_seconds")) == 41);
    assert_string_equal(text_of(first(repo, "backups"), "type"), "full");
    assert_string_equal(text_of(first(repo, "windows"), "to"), "2026-11-29T10:59:19.000000Z");
    assert_string_equal(text_of(first(good, "tasks"), "next"), "2026-11-30T01:00:00.000000Z");
    assert_string_equal(text_of(first(good, "drills"), "outcome"), "passed");
    assert_int_equal(json_array_size(json_object_get(repo, "gaps")), 0);
}

static void what_is_wrong_is_told(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(put) json_t *root = status_of(s);
    json_t *shop = cluster_of(root, "pg-shop"), *repo = first(shop, "repositories");
    json_t *server = json_object_get(shop, "server");
    (void)state;

    assert_string_equal(text_of(shop, "state"), "at risk");
    assert_string_equal(text_of(first(shop, "findings"), "level"), "failed");
    assert_non_null(strstr(text_of(first(shop, "findings"), "todo"), "take a new backup"));
    assert_non_null(strstr(text_of(server, "error"), "connection refused"));
    assert_true(json_is_null(json_object_get(server, "read")));
    assert_string_equal(text_of(first(repo, "gaps"), "first"), "0000000100000007000000D1");
    assert_non_null(strstr(text_of(first(repo, "holes"), "why"), "missing"));
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(first(shop, "tasks"), "last_ended"), "exit_status")),
                     1);
}

/* Not known is null, which is something else than none. */
static void windows_that_are_not_known_are_null(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(put) json_t *root = NULL;
    (void)state;

    fixture_cluster(s, "pg-shop")->repos[0].view.sealed = true;
    root = status_of(s);
    assert_true(json_is_null(
        json_object_get(first(cluster_of(root, "pg-shop"), "repositories"), "windows")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts_are_there),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(windows_that_are_not_known_are_null),
    };

    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
