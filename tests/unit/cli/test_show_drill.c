/* A drill as text, as JSON and as a page. */
#include <jansson.h>
#include <string.h>

#include "cli/show_drill.h"
#include "tests/lib/test.h"

static char hostile[] = "<script>alert(\"x\")</script> & 'more'\x01";
static char one[] = "check \"orders\"", want[] = "at least 1000", got[] = "12", repo[] = "local",
            label[] = "20261129T120000Z-F-123456", latest[] = "latest";
static struct drill_finding findings[] = {
    {.name = one, .state = DRILL_BAD, .expected = want, .found = got, .took_us = 20000},
    {.name = hostile, .state = DRILL_WARNING, .text = hostile},
};

static struct drill_made example(void)
{
    return (struct drill_made){
        .outcome = DRILL_FAILED,
        .warnings = 1,
        .repo = repo,
        .label = label,
        .target = latest,
        .started_us = INT64_C(1795348800000000),
        .ended_us = {1, 2, 3, 4, 5, 6},
        .took_us = {100000, 2000000, 300000, 4000000, 500000, 60000},
        .restored_bytes = 7000000,
        .replayed_bytes = 16000000,
        .known_us = INT64_C(1795348790000000),
        .reached_us = INT64_C(1795348790000000),
        .end_lsn = UINT64_C(0x1600000000),
        .findings = findings,
        .n_findings = LENGTH(findings),
    };
}

static void rto_and_rpo_are_told_only_where_they_are_known(void **state)
{
    struct drill_made m = example();
    (void)state;

    assert_int_equal(drill_rto_us(&m), 6400000);
    assert_int_equal(drill_rpo_us(&m), 10000000);
    m.ended_us[DRILL_REPLAY] = 0;
    assert_int_equal(drill_rto_us(&m), 0);
    m.target = one;
    assert_int_equal(drill_rpo_us(&m), -1);
    m = example();
    m.reached_us = 0;
    assert_int_equal(drill_rpo_us(&m), -1);
}

static void the_text_says_why(void **state)
{
    struct drill_made m = example();
    AUTO(buf_free) struct buf text = BUF_INIT, why = BUF_INIT;
    (void)state;

    drill_text(&m, "main", &text);
    drill_why(&m, &why);
    assert_string_equal(buf_text(&why), "check \"orders\": expected at least 1000, found 12");
    assert_non_null(strstr(buf_text(&text), "drill of cluster \"main\": FAILED\n"));
    assert_non_null(strstr(buf_text(&text), "FAILED   check \"orders\": expected at least 1000"));
    assert_non_null(strstr(buf_text(&text), "RTO      6.40 s"));
    assert_non_null(strstr(buf_text(&text), "RPO      10.00 s"));
}

static void the_json_is_whole(void **state)
{
    struct drill_made m = example();
    AUTO(buf_free) struct buf text = BUF_INIT;
    json_error_t where;
    json_t *j, *f;
    (void)state;

    drill_json(&m, "main", &text);
    j = json_loads(buf_text(&text), 0, &where);
    if (j == NULL)
        fail_msg("line %d: %s", where.line, where.text);
    assert_string_equal(json_string_value(json_object_get(j, "outcome")), "failed");
    assert_true(json_number_value(json_object_get(j, "rto_seconds")) == 6.4);
    assert_string_equal(json_string_value(json_object_get(j, "end_lsn")), "16/0");
    assert_true(json_number_value(json_object_get(json_object_get(j, "phases"), "replay")) == 4.0);
    f = json_array_get(json_object_get(j, "findings"), 1);
    assert_string_equal(json_string_value(json_object_get(f, "name")), hostile);
    json_decref(j);
}

/* Tags open and close in pairs; nothing of the data becomes one. */
static void assert_well_formed(const char *html)
{
    char open[64][32];
    size_t depth = 0;

    for (const char *p = strchr(html, '<'); p != NULL; p = strchr(p + 1, '<')) {
        const char *end = strchr(p, '>');
        size_t len = strcspn(p + 1, " />");

        assert_non_null(end);
        if (p[1] == '!' || end[-1] == '/')
            continue;
        if (p[1] == '/') {
            len = strcspn(p + 2, ">");
            assert_true(depth > 0);
            depth--;
            if (strlen(open[depth]) != len || memcmp(open[depth], p + 2, len) != 0)
                fail_msg("<%s> is closed by %.20s", open[depth], p);
            continue;
        }
        assert_true(depth < LENGTH(open) && len < sizeof open[0]);
        memcpy(open[depth], p + 1, len);
        open[depth++][len] = '\0';
    }
    assert_int_equal(depth, 0);
}

static void the_page_is_well_formed_and_holds_no_foreign_markup(void **state)
{
    struct drill_made m = example();
    struct catalog_drill rows[] = {
        {.cluster = "main",
         .repo = "local",
         .label = hostile,
         .target = hostile,
         .outcome = "passed",
         .started_us = 1000000,
         .restored_us = 2000000,
         .recovered_us = 9000000,
         .finished_us = 10000000},
        {.cluster = "main",
         .repo = "local",
         .outcome = "failed",
         .started_us = 500000,
         .finished_us = 1},
        {.cluster = "main", .repo = "local", .started_us = 100},
    };
    const struct catalog_drills past = {rows, LENGTH(rows), NULL}, none = {0};
    AUTO(buf_free) struct buf page = BUF_INIT, bare = BUF_INIT;
    struct drill_made nothing = {.outcome = DRILL_FAILED, .target = latest};
    (void)state;

    drill_page(&m, hostile, &past, &page);
    assert_well_formed(buf_text(&page));
    assert_null(strstr(buf_text(&page), "<script"));
    assert_null(strchr(buf_text(&page), '\x01'));
    assert_non_null(
        strstr(buf_text(&page), "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;"));
    assert_non_null(strstr(buf_text(&page), "passed, 8.00 s"));
    drill_page(&nothing, "main", &none, &bare);
    assert_well_formed(buf_text(&bare));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rto_and_rpo_are_told_only_where_they_are_known),
        cmocka_unit_test(the_text_says_why),
        cmocka_unit_test(the_json_is_whole),
        cmocka_unit_test(the_page_is_well_formed_and_holds_no_foreign_markup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
