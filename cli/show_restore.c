/* show_restore.c - the plan of a restore, and what came of it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/show.h"
#include "postgres/lsn.h"

/* The moment of the target, which is told in UTC, in this host's zone and in the server's. */
static void show_moment(int64_t us, const char *server_zone)
{
    char here[80], there[80];
    struct err ignored = {0};
    bool has_here = clock_format_zone(us, NULL, here, &ignored) == 0;
    bool has_there =
        server_zone != NULL && clock_format_zone(us, server_zone, there, &ignored) == 0;
    bool same = has_here && has_there && strcmp(here, there) == 0;

    if (has_here)
        printf("  that is      %s here%s\n", here, same ? " and for the server" : "");
    if (has_there && !same)
        printf("  %-12s %s for the server\n", has_here ? "and" : "that is", there);
}

/* Lines, each under the last. */
static void show_notes(const struct buf *notes)
{
    for (size_t at = 0; at < notes->len;) {
        const char *line = notes->p + at, *end = memchr(line, '\n', notes->len - at);
        size_t len = end != NULL ? (size_t)(end - line) : notes->len - at;

        printf("  note         %.*s\n", (int)len, line);
        at += len + 1;
    }
}

static void show_reach(const struct restore_plan *p)
{
    const struct reach *r = &p->reach;
    char lsn[LSN_TEXT], bytes[24], utc[40];
    uint64_t n = r->last_segno - r->first_segno + 1;

    if (r->first_segno != 0 && r->last_segno >= r->first_segno)
        printf("  WAL          %llu segment%s, %s stored, on the way to timeline %u\n",
               (unsigned long long)n, plural_of(n), format_bytes(r->wal_bytes, bytes), r->timeline);
    if (r->end_lsn != 0)
        printf("  ends at      %s\n", lsn_format(r->end_lsn, lsn));
    if (r->last_commit_us != 0)
        printf("  last commit  %s\n", clock_format_utc(r->last_commit_us, utc));
}

static void plan_text(const struct restore_plan *p, const struct restore_request *q)
{
    AUTO(buf_free) struct buf target = BUF_INIT;
    char a[40], bytes[24];

    target_describe(&p->target, &target);
    printf("restore of cluster \"%s\" into \"%s\"\n", q->cluster->name, p->data_dir);
    printf("  backup       %s in repository \"%s\", %s, finished %s\n", p->label, p->repo,
           format_bytes(p->bytes, bytes), clock_format_utc(p->backup.stop_us, a));
    printf("  target       %s\n", buf_text(&target));
    if (p->target.kind == TARGET_TIME)
        show_moment(p->target.time_us, p->server_zone);
    show_reach(p);
    if (p->expected_us != 0)
        printf("  expected     %s\n", clock_format_duration(p->expected_us, a));
    printf("  then start   %s\n", p->start_command);
    show_notes(&p->notes);
}

static void plan_json(struct json *j, const struct restore_plan *p)
{
    AUTO(buf_free) struct buf target = BUF_INIT;
    AUTO(buf_free) struct buf notes = BUF_INIT;
    char lsn[LSN_TEXT];

    target_describe(&p->target, &target);
    buf_add(&notes, p->notes.p, p->notes.len);
    json_text(j, "repo", p->repo);
    json_text(j, "backup", p->label);
    json_text(j, "data_dir", p->data_dir);
    json_text(j, "target", buf_text(&target));
    if (p->target.kind == TARGET_TIME)
        json_time(j, "target_time", p->target.time_us);
    json_uint(j, "timeline", p->reach.timeline);
    json_text(j, "end_lsn", lsn_format(p->reach.end_lsn, lsn));
    json_time(j, "last_commit", p->reach.last_commit_us);
    json_uint(j, "wal_bytes", p->reach.wal_bytes);
    json_uint(j, "files", p->files);
    json_uint(j, "bytes", p->bytes);
    json_text(j, "start_command", p->start_command);
    json_text(j, "notes", buf_text(&notes));
}

void show_plan(const struct restore_plan *plan, const struct restore_request *q, bool json)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct json j;

    if (!json) {
        plan_text(plan, q);
        return;
    }
    json_begin(&j, &text, true);
    json_open(&j, NULL, '{');
    plan_json(&j, plan);
    json_close(&j, '}');
    fputs(buf_text(&text), stdout);
}

void show_restored(const struct restore_plan *plan, bool json)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    char fetched[24], kept[24];
    struct json j;

    if (!json) {
        printf(
            "restored: %s written, %s kept as they were, %llu files removed\nstart it with: %s\n",
            format_bytes(plan->bytes_fetched, fetched), format_bytes(plan->bytes_kept, kept),
            (unsigned long long)plan->files_removed, plan->start_command);
        return;
    }
    json_begin(&j, &text, true);
    json_open(&j, NULL, '{');
    plan_json(&j, plan);
    json_uint(&j, "bytes_fetched", plan->bytes_fetched);
    json_uint(&j, "bytes_kept", plan->bytes_kept);
    json_uint(&j, "files_removed", plan->files_removed);
    json_uint(&j, "warnings", plan->warnings);
    json_close(&j, '}');
    fputs(buf_text(&text), stdout);
}
