#include "postgres/lsn.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Up to eight hex digits; returns how many there are. */
static size_t hex_part(const char *p, uint32_t *out)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t value = 0;
    size_t n = 0;

    for (; n < 8 && p[n] != '\0'; n++) {
        char c = p[n] >= 'A' && p[n] <= 'F' ? (char)(p[n] - 'A' + 'a') : p[n];
        const char *at = strchr(digits, c);
        if (at == NULL)
            break;
        value = value << 4 | (uint32_t)(at - digits);
    }
    *out = value;
    return n;
}

int lsn_parse(const char *text, uint64_t *lsn)
{
    uint32_t high, low;
    size_t n = hex_part(text, &high);

    if (n == 0 || text[n] != '/')
        return -1;
    text += n + 1;
    n = hex_part(text, &low);
    if (n == 0 || text[n] != '\0')
        return -1;
    *lsn = (uint64_t)high << 32 | low;
    return 0;
}

const char *lsn_format(uint64_t lsn, char out[LSN_TEXT])
{
    snprintf(out, LSN_TEXT, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32), (uint32_t)lsn);
    return out;
}

bool wal_segsz_valid(uint64_t segsz)
{
    return segsz >= WAL_SEGSZ_MIN && segsz <= WAL_SEGSZ_MAX && (segsz & (segsz - 1)) == 0;
}

const char *wal_segment_name(uint32_t tli, uint64_t segno, uint32_t segsz,
                             char out[WAL_SEGMENT_NAME])
{
    uint64_t per_log = segments_per_log(segsz);

    snprintf(out, WAL_SEGMENT_NAME, "%08" PRIX32 "%08" PRIX32 "%08" PRIX32, tli,
             (uint32_t)(segno / per_log), (uint32_t)(segno % per_log));
    return out;
}

/* Exactly eight upper-case hex digits. */
static bool hex8(const char *p, uint32_t *out)
{
    if (hex_part(p, out) != 8)
        return false;
    for (int i = 0; i < 8; i++)
        if (p[i] >= 'a')
            return false;
    return true;
}

int wal_file_parse(const char *name, struct wal_file *out)
{
    struct wal_file f = {0};

    if (!hex8(name, &f.tli) || f.tli == 0)
        return -1;
    if (strcmp(name + 8, ".history") == 0) {
        f.kind = WAL_HISTORY;
        *out = f;
        return 0;
    }
    if (!hex8(name + 8, &f.log) || !hex8(name + 16, &f.seg))
        return -1;
    name += 24;
    if (*name == '\0')
        f.kind = WAL_SEGMENT;
    else if (strcmp(name, ".partial") == 0)
        f.kind = WAL_PARTIAL;
    else if (*name == '.' && hex8(name + 1, &f.offset) && strcmp(name + 9, ".backup") == 0)
        f.kind = WAL_BACKUP_LABEL;
    else
        return -1;
    *out = f;
    return 0;
}

const char *wal_file_format(const struct wal_file *f, char out[WAL_NAME])
{
    char segment[WAL_SEGMENT_NAME];

    snprintf(segment, sizeof segment, "%08" PRIX32 "%08" PRIX32 "%08" PRIX32, f->tli, f->log,
             f->seg);
    switch (f->kind) {
    case WAL_SEGMENT:
        snprintf(out, WAL_NAME, "%s", segment);
        break;
    case WAL_PARTIAL:
        snprintf(out, WAL_NAME, "%s.partial", segment);
        break;
    case WAL_HISTORY:
        snprintf(out, WAL_NAME, "%08" PRIX32 ".history", f->tli);
        break;
    case WAL_BACKUP_LABEL:
        snprintf(out, WAL_NAME, "%s.%08" PRIX32 ".backup", segment, f->offset);
        break;
    }
    return out;
}

int wal_file_segno(const struct wal_file *f, uint32_t segsz, uint64_t *segno)
{
    uint64_t per_log = segments_per_log(segsz);

    if (f->kind == WAL_HISTORY || f->seg >= per_log || f->offset >= segsz)
        return -1;
    *segno = f->log * per_log + f->seg;
    return 0;
}
