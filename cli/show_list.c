/* show_list.c - see show_list.h. */
#include "cli/show_list.h"

#include <stdio.h>

#include "base/clock.h"
#include "cli/show.h"
#include "cli/show_windows.h"
#include "postgres/lsn.h"

enum { PAGES_SHOWN = 10 };

/* The list of damaged pages is in the sealed part of a manifest. Without the key there is only
 * their number; a manifest that cannot be read was told of when backups were listed. */
static const struct backup_info *info_of(struct repo *r, const struct pubinfo *p,
                                         struct manifest **m)
{
    static const struct backup_info none;
    struct err ignored = {0};

    if (p->page_errors == 0 || manifest_open(m, r, p->label, &ignored) != 0)
        return &none;
    return manifest_info(*m);
}

/* ---- text ---- */

static void text_damage(struct buf *out, struct repo *r, const struct pubinfo *p)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    const struct backup_info *info = info_of(r, p, &m);

    if (p->page_errors == 0)
        return;
    buf_addf(out, "      WARNING: %llu page%s with a wrong checksum\n",
             (unsigned long long)p->page_errors, plural_of(p->page_errors));
    for (uint32_t i = 0; i < MIN_OF(info->n_errors, (uint32_t)PAGES_SHOWN); i++)
        buf_addf(out, "        %s block %u\n", info->errors[i].path, info->errors[i].block);
    if (info->n_errors > PAGES_SHOWN)
        buf_adds(out, "        ... (--json has more)\n");
}

static void text_base(struct buf *out, const struct pubinfo *p)
{
    if (p->base[0] == '\0')
        return;
    buf_addf(out, "      on top of %s%s\n", p->base,
             p->changes_found == CHANGES_FROM_WAL   ? ", changes from the WAL"
             : p->changes_found == CHANGES_COMPARED ? ", everything read and compared"
                                                    : "");
}

static void text_hold(struct buf *out, const struct backup_mark *m)
{
    char when[40];

    if (m == NULL || !m->held)
        return;
    buf_adds(out, "      held");
    if (m->held_until_us != 0)
        buf_addf(out, " until %s", clock_format_utc(m->held_until_us, when));
    buf_addf(out, "%s%s\n", m->note[0] != '\0' ? ": " : "", m->note);
}

static void text_hidden(struct buf *out, const struct view *v)
{
    for (size_t i = 0; i < v->n_marks; i++)
        if (v->marks[i].hidden)
            buf_addf(out, "    %-25s  hidden, to be deleted%s%s (\"pgbr hold\" brings it back)\n",
                     v->marks[i].label, v->marks[i].reason[0] != '\0' ? ": " : "",
                     v->marks[i].reason);
}

static void text_backups(struct buf *out, struct repo *r, const struct view *v)
{
    if (v->backups.n == 0) {
        buf_adds(out, "    no backups\n");
        text_hidden(out, v);
        return;
    }
    buf_addf(out, "    %-25s  %-4s  %-19s  %9s  %9s  %9s  %8s  %s\n", "backup", "type",
             "finished (UTC)", "size", "read", "stored", "took", "timeline, WAL");
    for (size_t i = 0; i < v->backups.n; i++) {
        const struct pubinfo *p = &v->backups.items[i];
        char when[40], raw[24], read[24], stored[24], took[40], a[LSN_TEXT], b[LSN_TEXT];

        clock_format_utc(p->stop_us, when);
        buf_addf(out, "    %-25s  %-4s  %.19s  %9s  %9s  %9s  %8s  %u, %s to %s%s\n", p->label,
                 backup_type_name(p->type), when, format_bytes(p->raw_bytes, raw),
                 p->read_bytes != 0 ? format_bytes(p->read_bytes, read) : "?",
                 format_bytes(p->stored_bytes, stored),
                 clock_format_duration(p->stop_us - p->start_us, took), p->timeline,
                 lsn_format(p->start_lsn, a), lsn_format(p->stop_lsn, b),
                 p->from_standby ? ", from a standby" : "");
        text_base(out, p);
        text_damage(out, r, p);
        text_hold(out, view_mark(v, p->label));
    }
    text_hidden(out, v);
}

static void names_of(uint32_t tli, uint64_t first, uint64_t last, uint32_t size,
                     char a[WAL_SEGMENT_NAME], char b[WAL_SEGMENT_NAME])
{
    wal_segment_name(tli, first, size, a);
    wal_segment_name(tli, last, size, b);
}

static void text_wal(struct buf *out, const struct view *v)
{
    char a[WAL_SEGMENT_NAME], b[WAL_SEGMENT_NAME], bytes[24];

    for (size_t i = 0; i < v->n_lines; i++) {
        const struct view_line *l = &v->lines[i];
        const struct wal_stretch *s = &l->stretch;
        uint64_t n = s->last_segno - s->first_segno + 1;

        names_of(s->timeline, s->first_segno, s->last_segno, l->segment_size, a, b);
        buf_addf(out, "    WAL %s to %s, %llu segment%s, %s stored\n", a, b, (unsigned long long)n,
                 plural_of(n), format_bytes(s->stored_bytes, bytes));
    }
    for (size_t i = 0; i < v->n_gaps; i++) {
        const struct wal_gap *g = &v->gaps[i];

        names_of(g->timeline, g->first_segno, g->last_segno, g->segment_size, a, b);
        buf_addf(out, "    GAP %s to %s is missing%s%s\n", a, b,
                 g->label[0] != '\0' ? ", needed by backup " : "", g->label);
    }
}

/* ---- JSON ---- */

static void json_damage(struct json *j, struct repo *r, const struct pubinfo *p)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    const struct backup_info *info = info_of(r, p, &m);

    json_open(j, "damaged_pages", '[');
    for (uint32_t i = 0; i < info->n_errors; i++) {
        json_open(j, NULL, '{');
        json_text(j, "file", info->errors[i].path);
        json_uint(j, "block", info->errors[i].block);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_hold(struct json *j, const struct backup_mark *m)
{
    if (m == NULL || !m->held) {
        json_none(j, "hold");
        return;
    }
    json_open(j, "hold", '{');
    json_text(j, "note", m->note);
    json_time(j, "until", m->held_until_us);
    json_close(j, '}');
}

static void json_hidden(struct json *j, const struct view *v)
{
    json_open(j, "hidden", '[');
    for (size_t i = 0; i < v->n_marks; i++) {
        if (!v->marks[i].hidden)
            continue;
        json_open(j, NULL, '{');
        json_text(j, "label", v->marks[i].label);
        json_text(j, "reason", v->marks[i].reason);
        json_time(j, "since", v->marks[i].hidden_us);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_backups(struct json *j, struct repo *r, const struct view *v)
{
    json_open(j, "backups", '[');
    for (size_t i = 0; i < v->backups.n; i++) {
        json_open(j, NULL, '{');
        json_backup(j, &v->backups.items[i]);
        json_damage(j, r, &v->backups.items[i]);
        json_hold(j, view_mark(v, v->backups.items[i].label));
        json_close(j, '}');
    }
    json_close(j, ']');
    json_hidden(j, v);
}

static void json_wal(struct json *j, const struct view *v)
{
    char a[WAL_SEGMENT_NAME], b[WAL_SEGMENT_NAME], id[24];

    json_open(j, "wal", '[');
    for (size_t i = 0; i < v->n_lines; i++) {
        const struct view_line *l = &v->lines[i];
        const struct wal_stretch *s = &l->stretch;

        names_of(s->timeline, s->first_segno, s->last_segno, l->segment_size, a, b);
        snprintf(id, sizeof id, "%llu", (unsigned long long)l->id.system_id);
        json_open(j, NULL, '{');
        json_text(j, "system_id", id);
        json_uint(j, "pg_major", l->id.major);
        json_uint(j, "timeline", s->timeline);
        json_text(j, "first", a);
        json_text(j, "last", b);
        json_uint(j, "segments", s->last_segno - s->first_segno + 1);
        json_uint(j, "stored_bytes", s->stored_bytes);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_open(j, "gaps", '[');
    for (size_t i = 0; i < v->n_gaps; i++) {
        const struct wal_gap *g = &v->gaps[i];

        names_of(g->timeline, g->first_segno, g->last_segno, g->segment_size, a, b);
        json_open(j, NULL, '{');
        json_uint(j, "timeline", g->timeline);
        json_text(j, "first", a);
        json_text(j, "last", b);
        json_uint(j, "segments", g->last_segno - g->first_segno + 1);
        json_text(j, "backup", g->label[0] != '\0' ? g->label : NULL);
        json_close(j, '}');
    }
    json_close(j, ']');
}

/* ---- both ---- */

void list_begin_out(struct list_out *o, bool json)
{
    o->json = json;
    if (!json)
        return;
    json_begin(&o->j, &o->text, true);
    json_open(&o->j, NULL, '{');
    json_open(&o->j, "clusters", '[');
}

void list_show_cluster(struct list_out *o, const char *name)
{
    if (!o->json) {
        buf_addf(&o->text, "cluster \"%s\"\n", name);
        return;
    }
    json_open(&o->j, NULL, '{');
    json_text(&o->j, "name", name);
    json_open(&o->j, "repositories", '[');
}

void list_show_repo(struct list_out *o, struct repo *r, const struct view *v)
{
    const char *where = store_where(repo_store(r));

    if (!o->json) {
        buf_addf(&o->text, "  repository \"%s\" (%s, %s)\n", repo_name(r), where,
                 repo_encrypted(r) ? "encrypted" : "not encrypted");
        text_backups(&o->text, r, v);
        text_wal(&o->text, v);
        windows_text(&o->text, v);
        return;
    }
    json_open(&o->j, NULL, '{');
    json_text(&o->j, "name", repo_name(r));
    json_text(&o->j, "location", where);
    json_bool(&o->j, "encrypted", repo_encrypted(r));
    json_backups(&o->j, r, v);
    json_wal(&o->j, v);
    windows_json(&o->j, v);
    json_close(&o->j, '}');
}

void list_show_failure(struct list_out *o, const char *repo, const char *why)
{
    if (!o->json) {
        buf_addf(&o->text, "  repository \"%s\": %s\n", repo, why);
        return;
    }
    json_open(&o->j, NULL, '{');
    json_text(&o->j, "name", repo);
    json_text(&o->j, "error", why);
    json_close(&o->j, '}');
}

void list_end_cluster(struct list_out *o)
{
    if (!o->json)
        return;
    json_close(&o->j, ']');
    json_close(&o->j, '}');
}

void list_print(struct list_out *o)
{
    if (o->json) {
        json_close(&o->j, ']');
        json_close(&o->j, '}');
    }
    fputs(buf_text(&o->text), stdout);
}

void list_out_free(struct list_out *o)
{
    buf_free(&o->text);
}
