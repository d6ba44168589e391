/* Metrics: the text format, the values, and nothing where nothing is known. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "scheduler/page/metrics.h"
#include "tests/lib/status_fixture.h"
#include "tests/lib/test.h"

static const char *metrics_of(const struct status *s, struct buf *out)
{
    buf_clear(out);
    metrics_write(s, FIXTURE_NOW, out);
    return buf_text(out);
}

static void has(const char *text, const char *line)
{
    AUTO(mem_free) char *whole = xasprintf("\n%s\n", line);

    if (strstr(text, whole) == NULL)
        fail_msg("no line: %s", line);
}

static void lacks(const char *text, const char *begin)
{
    AUTO(mem_free) char *whole = xasprintf("\n%s", begin);

    if (strstr(text, whole) != NULL)
        fail_msg("there is a line that begins so: %s", begin);
}

#define MAIN "cls=\"pg-main\",ins=\"pg-main-1\",ip=\"10.10.10.10\""
#define SHOP "cls=\"pg-shop\",ins=\"pg-shop-1\",ip=\"10.10.10.10\""

static void values_are_in_seconds_and_bytes(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    const char *text = metrics_of(s, &out);
    (void)state;

    has(text, "pgbr_up{" MAIN "} 1");
    has(text, "pgbr_state{" SHOP "} 3");
    has(text, "pgbr_check_findings{" SHOP ",level=\"failed\"} 2");
    has(text, "pgbr_check_findings{" SHOP ",level=\"warning\"} 1");
    has(text, "pgbr_backups{" MAIN ",repo=\"local\",type=\"full\"} 2");
    has(text, "pgbr_backups{" MAIN ",repo=\"local\",type=\"incr\"} 10");
    has(text, "pgbr_backup_last_success_timestamp_seconds{" MAIN
              ",repo=\"local\",type=\"any\"} 1795914000");
    has(text, "pgbr_backup_age_seconds{" MAIN ",repo=\"local\",type=\"any\"} 36000");
    has(text, "pgbr_backup_last_duration_seconds{" MAIN ",repo=\"local\",type=\"any\"} 95");
    has(text, "pgbr_backup_last_raw_bytes{" MAIN ",repo=\"local\",type=\"any\"} 48200000000");
    has(text, "pgbr_wal_gap_segments{" SHOP ",repo=\"local\"} 2");
    has(text, "pgbr_wal_gaps{" MAIN ",repo=\"local\"} 0");
    has(text, "pgbr_wal_last_archived_timestamp_seconds{" MAIN ",repo=\"minio\"} 1795949960");
    has(text, "pgbr_window_end_timestamp_seconds{" MAIN ",repo=\"local\"} 1795949959");
    has(text, "pgbr_rpo_seconds{" MAIN ",repo=\"local\"} 41");
    has(text, "pgbr_rpo_seconds{" SHOP ",repo=\"local\"} 259200");
    has(text, "pgbr_repo_free_bytes{" SHOP ",repo=\"local\"} 63000000000");
    has(text, "pgbr_repo_required{" MAIN ",repo=\"minio\"} 0");
    has(text, "pgbr_drill_last_passed{" SHOP ",repo=\"local\"} 0");
    has(text, "pgbr_drill_last_passed{" MAIN ",repo=\"local\"} 1");
    has(text, "pgbr_drill_last_recovery_seconds{" MAIN ",repo=\"local\"} 267");
    has(text, "pgbr_job_last_exit_status{" SHOP ",task=\"shop\",command=\"backup\"} 1");
    has(text, "pgbr_job_last_exit_status{" MAIN ",task=\"\",command=\"verify\"} 0");
    has(text, "pgbr_job_next_run_timestamp_seconds{" MAIN
              ",task=\"nightly\",command=\"backup\"} 1796000400");
    has(text, "pgbr_archiver_archived_total{" MAIN "} 8901");
}

static void what_is_not_known_has_no_sample(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    const char *text = metrics_of(s, &out);
    (void)state;

    has(text, "pgbr_server_up{" SHOP "} 0");
    lacks(text, "pgbr_archiver_failed_total{" SHOP);
    lacks(text, "pgbr_ready_segments{" SHOP);
    lacks(text, "pgbr_server_in_recovery{" SHOP);
    lacks(text, "pgbr_rto_expected_seconds{" SHOP);
    lacks(text, "pgbr_drill_last_success_timestamp_seconds{" SHOP);
    lacks(text, "pgbr_repo_free_bytes{" MAIN ",repo=\"minio\"}");
    fixture_cluster(s, "pg-main")->repos[0].read = (struct status_read){0};
    text = metrics_of(s, &out);
    has(text, "pgbr_up{" MAIN "} 0");
    lacks(text, "pgbr_backups{" MAIN ",repo=\"local\"");
    lacks(text, "pgbr_repo_up{" MAIN ",repo=\"local\"");
}

static void an_optional_repository_that_fails_does_not_take_the_cluster_down(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct status_cluster *c = fixture_cluster(s, "pg-main");
    (void)state;

    c->repos[1].read.failure = xstrdup("unreachable");
    has(metrics_of(s, &out), "pgbr_up{" MAIN "} 1");
    has(buf_text(&out), "pgbr_repo_up{" MAIN ",repo=\"minio\"} 0");
    c->repos[0].read.failure = xstrdup("unreachable");
    has(metrics_of(s, &out), "pgbr_up{" MAIN "} 0");
}

static void labels_are_escaped(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct status_cluster *c = fixture_cluster(s, "pg-shop");
    (void)state;

    free(c->ip);
    c->ip = xstrdup("a\"b\\c\nd\xff");
    has(metrics_of(s, &out),
        "pgbr_up{cls=\"pg-shop\",ins=\"pg-shop-1\",ip=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"} 1");
}

/* Line by line: all samples of a family stand together, behind its HELP and TYPE. */
static void the_format_is_kept(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    char family[100] = "", *rest = NULL;
    (void)state;

    metrics_of(s, &out);
    for (char *line = strtok_r(out.p, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        size_t len = strlen(family);
        char *end;

        if (strncmp(line, "# HELP ", 7) == 0) {
            snprintf(family, sizeof family, "%.*s", (int)strcspn(line + 7, " "), line + 7);
            assert_true(strlen(line) > 7 + strlen(family) + 10);
            line = strtok_r(NULL, "\n", &rest);
            assert_int_equal(strncmp(line, "# TYPE ", 7), 0);
            assert_int_equal(strncmp(line + 7, family, strlen(family)), 0);
            line += 8 + strlen(family);
            assert_true(strcmp(line, "gauge") == 0 || strcmp(line, "counter") == 0);
            assert_int_equal(strcmp(line, "counter") == 0,
                             strcmp(family + strlen(family) - 6, "_total") == 0);
            continue;
        }
        assert_true(strncmp(line, family, len) == 0 && line[len] == '{');
        end = strrchr(line, '}');
        assert_true(end != NULL && end[1] == ' ');
        strtod(end + 2, &end);
        assert_int_equal(*end, '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_in_seconds_and_bytes),
        cmocka_unit_test(what_is_not_known_has_no_sample),
        cmocka_unit_test(an_optional_repository_that_fails_does_not_take_the_cluster_down),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(the_format_is_kept),
    };

    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
