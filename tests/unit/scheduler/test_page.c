/*
 * The page for people: what it says of a healthy and of a broken cluster, and that nothing from
 * outside becomes markup. How it looks is tests/server/760_status.t's part. PAGE=FILE keeps the
 * page of the fixture, to be looked at.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "repo/store/s3_sign.h"
#include "scheduler/page/page.h"
#include "tests/lib/status_fixture.h"
#include "tests/lib/test.h"

static const char *page_of(const struct status *s, struct buf *out)
{
    buf_clear(out);
    page_write(s, FIXTURE_NOW, out);
    return buf_text(out);
}

static void has(const char *page, const char *text)
{
    if (strstr(page, text) == NULL)
        fail_msg("the page lacks: %s", text);
}

static void lacks(const char *page, const char *text)
{
    if (strstr(page, text) != NULL)
        fail_msg("the page has: %s", text);
}

/* The part of the page about one cluster. */
static char *section(const char *page, const char *name)
{
    AUTO(mem_free) char *begin = xasprintf("id=\"%s\"", name);
    const char *from = strstr(page, begin);

    assert_non_null(from);
    return xstrndup(from, (size_t)(strstr(from, "</section>") - from));
}

static void the_state_comes_first_and_the_worst_cluster_before_the_others(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    const char *page = page_of(s, &out);
    struct err err = {0};
    (void)state;

    if (getenv("PAGE") != NULL)
        OK(fs_replace(AT_FDCWD, getenv("PAGE"), out.p, out.len, 0644, &err), &err);
    has(page, "<title>1 of 2 clusters is at risk - pgbr on db1</title>");
    has(page, "<b>At risk</b> pg-shop");
    has(page, "<b>Protected</b> pg-main");
    assert_true(strstr(page, "id=\"pg-shop\"") < strstr(page, "id=\"pg-main\""));
}

static void a_broken_cluster_is_told_with_what_to_do(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    AUTO(mem_free) char *shop = section(page_of(s, &out), "pg-shop");
    (void)state;

    has(shop, "<b>WAL (local)</b>: 0000000100000007000000D1 to 0000000100000007000000D2");
    has(shop, "<b>What to do:</b> take a new backup");
    has(shop, ">only from <");
    has(shop, "something is missing behind it");
    has(shop, ">at most 3 days<");
    has(shop, "the server does not answer");
    has(shop, ">failed</span>: cannot connect to PostgreSQL: host &quot;/run/postgresql&quot;");
    has(shop, "The last one <span class=\"bad\">failed</span>");
    has(shop, "until now: no moment. 2 WAL segments are missing");
    has(shop, "1 hole in the WAL.\"");
    has(shop, "server answered never (last tried");
    lacks(shop, "Nothing needs you");
}

static void a_healthy_cluster_is_told_what_it_can_rely_on(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    AUTO(mem_free) char *good = section(page_of(s, &out), "pg-main");
    (void)state;

    has(good, "Nothing needs you");
    has(good, "2 things looked at and well");
    has(good, ">at most 41 s<");
    has(good, "3.4 MB of WAL were written since.");
    has(good, "PostgreSQL 15.18, primary");
    has(good, "as measured by 3 drills");
    has(good, "The last one passed <time");
    has(good, "2 full, 2 differential, 10 incremental backups; WAL without a hole.");
    has(good, "in 14 h</time>");
    has(good, "s3://pgsql/pgbr/pg-main, encrypted, optional");
    lacks(good, "class=\"hole\"");
    lacks(good, "class=\"bad\"");
}

/* Whatever a server, a repository or a catalog says is text. */
static void text_from_outside_is_never_markup(void **state)
{
    static const char hostile[] = "</style><script>alert(1)</script>\"'><img src=x onerror=y>&amp;";
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct status_cluster *c = fixture_cluster(s, "pg-shop");
    const char *page;
    (void)state;

    fixture_finding(c, FINDING_WARNING, "server", NULL, hostile, hostile);
    fixture_finding(c, FINDING_OK, "server", NULL, hostile, NULL);
    c->history.runs.rows[0].message = hostile;
    c->history.runs.rows[0].command = hostile;
    c->history.runs.rows[1].job = NULL;
    c->history.runs.rows[1].command = hostile;
    c->history.drills.rows[0].target = hostile;
    c->history.events.rows[0].text = c->history.events.rows[0].kind = hostile;
    c->history.events.rows[0].level = hostile;
    memcpy(c->repos[0].view.windows.holes[0].why, hostile, sizeof hostile);
    free(c->repos[0].location);
    c->repos[0].location = xstrdup(hostile);
    c->repos[0].read.failure = xstrdup(hostile);
    free(c->server.read.failure);
    c->server.read.failure = xstrdup(hostile);
    s->catalog.failure = xstrdup(hostile);
    free(c->ip);
    c->ip = xstrdup(hostile);
    free(s->host);
    s->host = xstrdup(hostile);
    page = page_of(s, &out);
    lacks(page, "<script");
    lacks(page, "<img");
    lacks(page, "\"'>");
    has(page, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&gt;");
    has(page, "&amp;amp;");
}

static void what_is_not_known_is_not_claimed(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct status_cluster *c = fixture_cluster(s, "pg-main");
    (void)state;

    c->repos[1].view.sealed = true;
    windows_free(&c->repos[1].view.windows);
    {
        AUTO(mem_free) char *good = section(page_of(s, &out), "pg-main");

        has(good, "not known<small>The repository is encrypted, and its key");
        has(good, "not known without the key");
    }
    c->repos[0].read = (struct status_read){0};
    c->repos[1].read = (struct status_read){0};
    {
        AUTO(mem_free) char *good = section(page_of(s, &out), "pg-main");

        has(good, "Not known yet");
        has(good, "It is being read.");
        lacks(good, "Nothing needs you");
        lacks(good, "You can go back");
    }
}

static void a_server_on_another_timeline_says_nothing_of_what_would_be_lost(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct status_cluster *c = fixture_cluster(s, "pg-main");
    (void)state;

    c->server.state.timeline = 2;
    has(page_of(s, &out), "it is another cluster, or on another timeline");
    lacks(buf_text(&out), "of WAL were written since");
}

static void what_is_shown_of_a_repository_that_can_no_longer_be_read_has_its_age(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct status_repo *r = &fixture_cluster(s, "pg-main")->repos[0];
    const char *page;
    (void)state;

    r->read.read_us = FIXTURE_NOW - 3 * FIXTURE_HOUR;
    r->read.failure = xstrdup("the disk is gone");
    page = page_of(s, &out);
    has(page, "It could not be read <time");
    has(page, "what follows is from <time");
    has(page, ">3 h ago</time>: the disk is gone");
}

static void hundreds_of_backups_do_not_make_the_axis_endless(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct status_repo *r = &fixture_cluster(s, "pg-main")->repos[0];
    (void)state;

    r->view.backups.items[0].stop_us = FIXTURE_NOW - 400 * FIXTURE_DAY;
    r->view.lines[0].stretch.first_us = FIXTURE_NOW - 400 * FIXTURE_DAY;
    has(page_of(s, &out), "1 backup is older than that.");
    has(buf_text(&out), "from 30 Sep 2026 11:00 to now");
}

/* A browser that heeds the policy applies this style and nothing else, and asks nobody. */
static void the_page_needs_nothing_but_itself(void **state)
{
    AUTO(fixture_status_free) struct status *s = fixture_status();
    AUTO(buf_free) struct buf out = BUF_INIT;
    AUTO(buf_free) struct buf hash = BUF_INIT;
    const char *page = page_of(s, &out), *style = strstr(page, "<style>") + 7;
    size_t len = (size_t)(strstr(style, "</style>") - style);
    uint8_t digest[32];
    (void)state;

    sha256(style, len, digest);
    buf_adds(&hash, "'sha256-");
    s3_base64(&hash, digest, sizeof digest);
    buf_addc(&hash, '\'');
    has(page_policy(), buf_text(&hash));
    has(page_policy(), "default-src 'none'");
    lacks(page, "<script");
    lacks(page, "style=\"");
    lacks(page, "src=");
    lacks(page, "url(");
    lacks(page, "@import");
    lacks(page, "https:");
    assert_null(strstr(strstr(page, "http:") + 1, "http:")); /* once: the namespace of the icon */
    has(page, "xmlns='http://www.w3.org/2000/svg'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_comes_first_and_the_worst_cluster_before_the_others),
        cmocka_unit_test(a_broken_cluster_is_told_with_what_to_do),
        cmocka_unit_test(a_healthy_cluster_is_told_what_it_can_rely_on),
        cmocka_unit_test(text_from_outside_is_never_markup),
        cmocka_unit_test(what_is_not_known_is_not_claimed),
        cmocka_unit_test(a_server_on_another_timeline_says_nothing_of_what_would_be_lost),
        cmocka_unit_test(what_is_shown_of_a_repository_that_can_no_longer_be_read_has_its_age),
        cmocka_unit_test(hundreds_of_backups_do_not_make_the_axis_endless),
        cmocka_unit_test(the_page_needs_nothing_but_itself),
    };

    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
