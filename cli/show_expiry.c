/* show_expiry.c - one line for each backup and stretch of WAL: what becomes of it, and why. See
 * expiry.h. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/expiry.h"
#include "cli/show.h"
#include "postgres/lsn.h"

static const char *const states[] = {[EXPIRE_STAYS] = "stays",
                                     [EXPIRE_HELD] = "held",
                                     [EXPIRE_HIDDEN] = "hidden",
                                     [EXPIRE_GONE] = "gone"};

static const char *state_of(const struct expire_backup *b, bool dry_run)
{
    return b->state == EXPIRE_GONE && dry_run ? "goes" : states[b->state];
}

/* "WAL 000000010000000000000001 to 000000010000000000000004" or "WAL from 0/5000000 on". */
static void name_wal_line(const struct expire_wal *w, struct buf *out)
{
    char a[WAL_SEGMENT_NAME], b[WAL_SEGMENT_NAME], lsn[LSN_TEXT];

    if (w->segment_size == 0 || (w->timeline == 0 && w->first_segno == 0)) {
        buf_addf(out, "all WAL of system identifier %llu", (unsigned long long)w->id.system_id);
        return;
    }
    if (w->timeline == 0) {
        buf_addf(out, "WAL from %s on",
                 lsn_format(segno_lsn(w->first_segno, w->segment_size), lsn));
        return;
    }
    wal_segment_name(w->timeline, w->first_segno, w->segment_size, a);
    wal_segment_name(w->timeline, w->last_segno, w->segment_size, b);
    buf_addf(out, "WAL %s to %s", a, b);
}

/* ---- text ---- */

static void text_backup(const struct expire_backup *b, bool dry_run)
{
    printf("  %-6s  backup %s: %s", state_of(b, dry_run), b->pub.label, b->reason);
    if (b->until != NULL)
        printf("; %s: %s", b->state == EXPIRE_HIDDEN ? "deleted" : "goes", b->until);
    putchar('\n');
}

static void text_wal(const struct expire_wal *w, bool dry_run)
{
    AUTO(buf_free) struct buf name = BUF_INIT;
    char bytes[24];

    name_wal_line(w, &name);
    printf("  %-6s  %s", !w->goes ? "stays" : dry_run ? "goes" : "gone", buf_text(&name));
    if (w->goes)
        printf(", %llu file%s, %s", (unsigned long long)w->segments, plural_of(w->segments),
               format_bytes(w->bytes, bytes));
    printf(": %s", w->reason);
    if (w->until != NULL)
        printf("; goes: %s", w->until);
    putchar('\n');
}

static void text_sums(const struct expire_made *m, bool dry_run)
{
    char packs[24], wal[24];

    printf("  %s: %llu pack%s with %s, %llu WAL file%s with %s, %llu interrupted backup%s, %llu "
           "lease%s and mark%s that served their time\n",
           dry_run ? "to be deleted" : "deleted", (unsigned long long)m->packs, plural_of(m->packs),
           format_bytes(m->pack_bytes, packs), (unsigned long long)m->segments,
           plural_of(m->segments), format_bytes(m->segment_bytes, wal),
           (unsigned long long)m->dead_sets, plural_of(m->dead_sets), (unsigned long long)m->tidied,
           plural_of(m->tidied), plural_of(m->tidied));
}

static void show_text(const struct expire_made *m, struct repo *r, bool dry_run)
{
    printf("repository \"%s\" (%s)%s\n", repo_name(r), store_where(repo_store(r)),
           dry_run ? ", only told, nothing is changed" : "");
    for (size_t i = 0; i < m->n_backups; i++)
        text_backup(&m->backups[i], dry_run);
    for (size_t i = 0; i < m->n_wal; i++)
        text_wal(&m->wal[i], dry_run);
    text_sums(m, dry_run);
}

/* ---- JSON ---- */

static void json_backups(struct json *j, const struct expire_made *m, bool dry_run)
{
    json_open(j, "backups", '[');
    for (size_t i = 0; i < m->n_backups; i++) {
        const struct expire_backup *b = &m->backups[i];

        json_open(j, NULL, '{');
        json_text(j, "label", b->pub.label);
        json_text(j, "type", b->pub.type != 0 ? backup_type_name(b->pub.type) : NULL);
        json_time(j, "stop", b->pub.stop_us);
        json_text(j, "state", state_of(b, dry_run));
        json_text(j, "reason", b->reason);
        json_text(j, "until", b->until);
        json_time(j, "until_time", b->until_us);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_wal(struct json *j, const struct expire_made *m, bool dry_run)
{
    json_open(j, "wal", '[');
    for (size_t i = 0; i < m->n_wal; i++) {
        const struct expire_wal *w = &m->wal[i];
        bool known = w->segment_size != 0;
        char id[24], a[WAL_SEGMENT_NAME], b[WAL_SEGMENT_NAME], lsn[LSN_TEXT];

        snprintf(id, sizeof id, "%llu", (unsigned long long)w->id.system_id);
        json_open(j, NULL, '{');
        json_text(j, "system_id", id);
        json_text(j, "state", !w->goes ? "stays" : dry_run ? "goes" : "gone");
        json_text(j, "from_lsn",
                  known ? lsn_format(segno_lsn(w->first_segno, w->segment_size), lsn) : NULL);
        if (w->timeline != 0 && known) {
            json_uint(j, "timeline", w->timeline);
            json_text(j, "first",
                      wal_segment_name(w->timeline, w->first_segno, w->segment_size, a));
            json_text(j, "last", wal_segment_name(w->timeline, w->last_segno, w->segment_size, b));
        }
        json_uint(j, "files", w->segments);
        json_uint(j, "bytes", w->bytes);
        json_text(j, "reason", w->reason);
        json_text(j, "until", w->until);
        json_time(j, "until_time", w->until_us);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void show_json(const struct expire_made *m, struct repo *r, bool dry_run, struct json *j)
{
    json_open(j, NULL, '{');
    json_text(j, "repository", repo_name(r));
    json_bool(j, "dry_run", dry_run);
    json_backups(j, m, dry_run);
    json_wal(j, m, dry_run);
    json_uint(j, "packs", m->packs);
    json_uint(j, "pack_bytes", m->pack_bytes);
    json_uint(j, "wal_files", m->segments);
    json_uint(j, "wal_bytes", m->segment_bytes);
    json_uint(j, "wal_sums", m->sums);
    json_uint(j, "interrupted_backups", m->dead_sets);
    json_uint(j, "leases_and_marks", m->tidied);
    json_close(j, '}');
}

void expiry_show(const struct expire_made *m, struct repo *r, bool dry_run, struct json *j)
{
    if (j != NULL)
        show_json(m, r, dry_run, j);
    else
        show_text(m, r, dry_run);
}
