#include "postgres/relfile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { MAP_MAGIC = 0x00592717, MAP_SIZE_15 = 512, MAP_SIZE_16 = 524 };

static const char *const fork_names[] = {"main", "fsm", "vm", "init"};

const char *rel_fork_name(enum rel_fork fork)
{
    return (unsigned)fork < LENGTH(fork_names) ? fork_names[fork] : "unknown";
}

/* A number from 1 to max without leading zeros; NULL when there is none. */
static const char *decimal(const char *p, uint64_t max, uint32_t *out)
{
    uint64_t value = 0;

    if (*p < '1' || *p > '9')
        return NULL;
    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (uint64_t)(*p - '0');
        if (value > max)
            return NULL;
    }
    *out = (uint32_t)value;
    return p;
}

uint32_t oid_parse(const char *name)
{
    uint32_t oid;
    const char *end = decimal(name, UINT32_MAX, &oid);

    return end != NULL && *end == '\0' ? oid : 0;
}

bool relfile_parse_name(const char *name, struct rel_file *out)
{
    struct rel_file f = {.spc = out->spc, .db = out->db};

    name = decimal(name, UINT32_MAX, &f.rel);
    if (name == NULL)
        return false;
    if (*name == '_') {
        size_t fork = FORK_FSM;
        for (; fork < LENGTH(fork_names); fork++) {
            size_t n = strlen(fork_names[fork]);
            if (strncmp(name + 1, fork_names[fork], n) == 0) {
                name += 1 + n;
                break;
            }
        }
        if (fork == LENGTH(fork_names))
            return false;
        f.fork = (enum rel_fork)fork;
    }
    if (*name == '.')
        name = decimal(name + 1, RELSEG_MAX, &f.segno);
    if (name == NULL || *name != '\0')
        return false;
    *out = f;
    return true;
}

/* "PG_<digits>_<digits>/": whatever the version, the caller walks only its own. */
static const char *version_dir(const char *p)
{
    uint32_t number;

    if (strncmp(p, "PG_", 3) != 0)
        return NULL;
    p = decimal(p + 3, UINT32_MAX, &number);
    if (p == NULL || *p != '_')
        return NULL;
    p = decimal(p + 1, UINT32_MAX, &number);
    return p != NULL && *p == '/' ? p + 1 : NULL;
}

/* Reads the directory part of a path up to the file name; NULL when no relation lives there. */
static const char *db_dir(const char *p, uint32_t *spc, uint32_t *db)
{
    *spc = SPC_GLOBAL;
    *db = 0;
    if (strncmp(p, "global/", 7) == 0)
        return p + 7;
    *spc = SPC_DEFAULT;
    if (strncmp(p, "base/", 5) == 0) {
        p += 5;
    } else {
        if (strncmp(p, "pg_tblspc/", 10) != 0)
            return NULL;
        p = decimal(p + 10, UINT32_MAX, spc);
        if (p == NULL || *p != '/')
            return NULL;
        p = version_dir(p + 1);
        if (p == NULL)
            return NULL;
    }
    p = decimal(p, UINT32_MAX, db);
    return p != NULL && *p == '/' ? p + 1 : NULL;
}

bool relfile_parse(const char *path, struct rel_file *out)
{
    struct rel_file f = {0};
    const char *name = db_dir(path, &f.spc, &f.db);

    if (name == NULL || !relfile_parse_name(name, &f))
        return false;
    *out = f;
    return true;
}

void relfile_format(const struct rel_file *f, const char *tablespace_dir, struct buf *out)
{
    if (f->spc == SPC_GLOBAL)
        buf_adds(out, "global/");
    else if (f->spc == SPC_DEFAULT)
        buf_addf(out, "base/%" PRIu32 "/", f->db);
    else
        buf_addf(out, "pg_tblspc/%" PRIu32 "/%s/%" PRIu32 "/", f->spc, tablespace_dir, f->db);
    buf_addf(out, "%" PRIu32, f->rel);
    if (f->fork != FORK_MAIN)
        buf_addf(out, "_%s", rel_fork_name(f->fork));
    if (f->segno != 0)
        buf_addf(out, ".%" PRIu32, f->segno);
}

bool relfile_is_temporary(const char *name)
{
    struct rel_file f = {0};

    if (*name++ != 't' || *name < '0' || *name > '9')
        return false;
    while (*name >= '0' && *name <= '9')
        name++;
    return *name == '_' && relfile_parse_name(name + 1, &f);
}

bool relfile_is_db_dir(const char *dir)
{
    char path[128];
    uint32_t spc, db;
    size_t n = strlen(dir);

    if (n + 2 > sizeof path)
        return false;
    memcpy(path, dir, n);
    memcpy(path + n, "/", 2);
    const char *rest = db_dir(path, &spc, &db);
    return rest != NULL && *rest == '\0';
}

static bool any(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}
#define ANY(name, list) any(name, list, LENGTH(list))

static bool starts(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool ends(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);

    return n > s && strcmp(name + n - s, suffix) == 0;
}

/* Directories whose content is void in a copy (excludeDirContents of basebackup.c). */
static const char *const emptied[] = {
    "pg_stat_tmp", "pg_replslot",  "pg_dynshmem", "pg_notify",
    "pg_serial",   "pg_snapshots", "pg_subtrans",
};

/* Files left out wherever they are (excludeFiles), and one that a crash may leave behind. */
static const char *const left_out[] = {
    "postmaster.pid",       "postmaster.opts", "postgresql.auto.conf.tmp",
    "current_logfiles.tmp", "backup_label",    "tablespace_map",
    "backup_manifest",      ".DS_Store",       "pg_filenode.map.tmp",
};

/* Left out of the data directory itself only. */
static const char *const left_out_of_root[] = {
    "backup_label.old", "tablespace_map.old", "backup_manifest.tmp",
    "recovery.signal",  "standby.signal",     "current_logfiles",
};

enum scan_verdict scan_exclude(const char *dir, const char *name, bool is_dir)
{
    bool root = *dir == '\0';

    if (root && strcmp(name, "pg_wal") == 0)
        return SCAN_EMPTY_DIR;
    if (ANY(name, emptied))
        return SCAN_EMPTY_DIR;
    if (starts(name, "pgsql_tmp"))
        return SCAN_SKIP;
    if (is_dir)
        return root && starts(name, "pg_wal.before-restore-") ? SCAN_SKIP : SCAN_KEEP;
    if (ANY(name, left_out) || starts(name, "pg_internal.init"))
        return SCAN_SKIP;
    if (root && (ANY(name, left_out_of_root) || ends(name, ".pid")))
        return SCAN_SKIP;
    if (strcmp(dir, "global") == 0 && strcmp(name, "pg_control.pgbr") == 0)
        return SCAN_SKIP;
    return SCAN_KEEP;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

void scan_exclude_relations(const char *const *names, size_t count, bool *skip)
{
    AUTO(mem_free) uint32_t *unlogged = NULL;
    size_t found = 0;
    struct rel_file f = {0};

    for (size_t i = 0; i < count; i++) {
        if (relfile_is_temporary(names[i]))
            skip[i] = true;
        if (relfile_parse_name(names[i], &f) && f.fork == FORK_INIT) {
            if (unlogged == NULL)
                unlogged = xmalloc(count * sizeof *unlogged);
            unlogged[found++] = f.rel;
        }
    }
    if (found == 0)
        return;
    qsort(unlogged, found, sizeof *unlogged, by_number);
    for (size_t i = 0; i < count; i++)
        if (relfile_parse_name(names[i], &f) && f.fork != FORK_INIT &&
            bsearch(&f.rel, unlogged, found, sizeof *unlogged, by_number) != NULL)
            skip[i] = true;
}

int filenode_map_check(const void *data, size_t len, struct err *err)
{
    const uint8_t *p = data;
    size_t crc_at = len == MAP_SIZE_15 ? MAP_SIZE_15 - 8 : MAP_SIZE_16 - 4;

    if (len != MAP_SIZE_15 && len != MAP_SIZE_16)
        return err_set(err, ERR_CORRUPT, "relation map has %zu bytes, expected %d or %d", len,
                       MAP_SIZE_15, MAP_SIZE_16);
    if (get_u32(p) != MAP_MAGIC)
        return err_set(err, ERR_CORRUPT, "relation map begins with %08" PRIx32 ", expected %08x",
                       get_u32(p), MAP_MAGIC);
    uint32_t want = get_u32(p + crc_at), have = crc32c(0, p, crc_at);
    if (want != have)
        return err_set(err, ERR_CORRUPT,
                       "relation map has checksum %08" PRIx32 ", its content gives %08" PRIx32,
                       want, have);
    return 0;
}
