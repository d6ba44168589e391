/* session.c - see session.h. */
#include "backup/session.h"

#include <string.h>
#include <sys/stat.h>

#include "backup/outside.h"
#include "base/log.h"
#include "postgres/page.h"

enum { CONNECT_S = 10, PROBE_MS = 30000 };

static int check_cluster(const struct session *s, const struct backup_request *q, struct err *err)
{
    const struct pg_facts *f = &s->facts;

    if (!repo_knows(q->repo, f->system_id, f->version->major))
        return err_set(
            err, ERR_FOREIGN,
            "the server is PostgreSQL %u with system identifier %llu, which repository "
            "\"%s\" does not know for cluster \"%s\"; after pg_upgrade or a new initdb run "
            "\"pgbr init --accept-new-system-id\"",
            f->version->major, (unsigned long long)f->system_id, repo_name(q->repo),
            q->cluster->name);
    if (strcmp(f->wal_level, "minimal") == 0)
        return err_set(err, ERR_FAILED,
                       "wal_level is \"minimal\"; a backup needs \"replica\" or \"logical\"");
    if (f->block_size != PG_PAGE_SIZE)
        return err_set(err, ERR_UNSUPPORTED, "the server's pages have %u bytes, only %u is served",
                       f->block_size, PG_PAGE_SIZE);
    if (f->relseg_pages != PG_RELSEG_PAGES)
        return err_set(err, ERR_UNSUPPORTED,
                       "the server's relation files have %u pages at most, only those of 1 GiB (%u "
                       "pages) are served",
                       f->relseg_pages, PG_RELSEG_PAGES);
    return 0;
}

/* The configured directory and the server's must be one and the same. */
static int check_directory(const struct session *s, const struct backup_request *q, struct err *err)
{
    struct stat ours, theirs;

    if (q->cluster->data == NULL)
        return 0;
    if (stat(q->cluster->data, &ours) != 0)
        return err_sys(err, "data directory \"%s\" of cluster \"%s\"", q->cluster->data,
                       q->cluster->name);
    if (stat(s->facts.data_directory, &theirs) != 0 || ours.st_dev != theirs.st_dev ||
        ours.st_ino != theirs.st_ino)
        return err_set(err, ERR_FOREIGN,
                       "the configuration says that the data directory is \"%s\", the server at %s "
                       "says \"%s\"",
                       q->cluster->data, pg_where(s->pg), s->facts.data_directory);
    return 0;
}

/* A standby's primary is asked to switch WAL; without it one has to wait for archive_timeout. */
static void find_primary(struct session *s, const struct backup_request *q)
{
    struct err err = {0};
    uint64_t system_id = 0;
    bool in_recovery = true;

    if (q->cluster->primary == NULL) {
        log_info("no \"primary\" is configured: WAL switches are left to archive_timeout");
        return;
    }
    if (pg_connect(&s->primary, q->cluster->primary, CONNECT_S, &err) == 0 &&
        pg_is_in_recovery(s->primary, &in_recovery, &err) == 0 &&
        pg_system_id(s->primary, &system_id, &err) == 0 && !in_recovery &&
        system_id == s->facts.system_id)
        return;
    if (err.code == ERR_NONE)
        err_set(&err, ERR_FOREIGN,
                in_recovery ? "it is a standby itself" : "it has another system identifier");
    log_warning("the primary cannot be asked to switch WAL: %s", err.msg);
    pg_close(&s->primary);
}

int session_open(struct session *s, const struct backup_request *q, struct err *err)
{
    *s = (struct session){0};
    TRY(pg_connect(&s->pg, q->cluster->connection, CONNECT_S, err));
    pg_set_stop(s->pg, q->stop);
    TRY(pg_discover(s->pg, &s->facts, err));
    if (s->facts.files_note != NULL)
        log_warning("%s", s->facts.files_note);
    TRY(check_cluster(s, q, err));
    TRY(check_directory(s, q, err));
    s->warnings = outside_find(&s->facts);
    if (s->facts.in_recovery)
        find_primary(s, q);
    return 0;
}

void session_close(struct session *s)
{
    pg_close(&s->primary);
    pg_close(&s->pg);
    pg_facts_free(&s->facts);
    backup_stop_free(&s->stop);
}

struct pg *session_primary(struct session *s)
{
    return s->facts.in_recovery ? s->primary : s->pg;
}

int session_tend(struct session *s, uint64_t *insert_lsn, struct err *err)
{
    TRY(pg_alive(s->pg, PROBE_MS, err));
    return pg_insert_lsn(s->pg, insert_lsn, err);
}

int session_unchanged(struct session *s, struct err *err)
{
    uint64_t system_id;
    bool in_recovery;

    TRY(pg_system_id(s->pg, &system_id, err));
    TRY(pg_is_in_recovery(s->pg, &in_recovery, err));
    if (system_id != s->facts.system_id)
        return err_set(err, ERR_FOREIGN,
                       "the server's system identifier changed during the backup");
    if (in_recovery != s->facts.in_recovery)
        return err_set(err, ERR_FAILED,
                       "the server was promoted during the backup; take another one");
    return 0;
}
