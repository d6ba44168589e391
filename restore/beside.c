/*
 * beside.c - what the plan of a copy has to say about the original, where that is on this host.
 *
 * A tablespace made after the backup is made again by recovery, in the directory that the WAL
 * names. On this host that is the original's; archive-get refuses such WAL (wal/archive/guard.h),
 * and here it is told before anything is restored.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "base/fs.h"
#include "postgres/control.h"
#include "postgres/relfile.h"
#include "restore/job.h"

static bool is_original(int dir, uint64_t system_id)
{
    struct pg_control control;
    struct err ignored = {0};

    return control_read(dir, CONTROL_PATH, NULL, &control, &ignored) == 0 &&
           control.system_id == system_id;
}

static bool in_backup(const struct backup_info *info, uint32_t oid)
{
    for (uint32_t i = 0; i < info->n_tablespaces; i++)
        if (info->tablespaces[i].oid == oid)
            return true;
    return false;
}

/* Those of the original that the backup does not have, as words. */
static void list_younger(int dir, const struct backup_info *info, struct buf *out)
{
    int fd = openat(dir, "pg_tblspc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO(dir_close) DIR *list = fd < 0 ? NULL : fdopendir(fd);
    char target[PATH_MAX];

    for (struct dirent *e; list != NULL && (e = readdir(list)) != NULL;) {
        uint32_t oid = oid_parse(e->d_name);
        ssize_t n = oid == 0 ? 0 : readlinkat(fd, e->d_name, target, sizeof target);

        if (n > 0 && !in_backup(info, oid))
            buf_addf(out, "%s%u in \"%.*s\"", out->len == 0 ? "" : ", ", oid, (int)n, target);
    }
    if (list == NULL)
        fd_close(&fd);
}

void beside_note(const struct restore_request *q, struct restore_plan *plan)
{
    const struct layout *l = &plan->job->layout;
    AUTO(buf_free) struct buf younger = BUF_INIT;
    AUTO(fd_close) int dir = -1;
    bool surely = plan->target.kind == TARGET_LATEST;

    if (!l->side_copy || q->sandbox != NULL || l->original_dir == NULL)
        return;
    dir = open(l->original_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || !is_original(dir, plan->backup.system_id))
        return;
    list_younger(dir, manifest_info(plan->job->manifest), &younger);
    if (younger.len == 0)
        return;
    buf_addf(&plan->notes,
             "%sthe original on this host has tablespaces that the backup does not have: %s; "
             "recovery that comes to their creation stops there, because it would write into the "
             "original's files: restore on another host, to a moment before that, or take a new "
             "backup and restore that (with --tablespace-map)\n",
             surely ? "WARNING: " : "", buf_text(&younger));
    plan->warnings += surely;
}
