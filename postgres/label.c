#include "postgres/label.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "postgres/relfile.h"

/* Takes the rest of the text apart line by line. */
struct lines {
    const char *p, *end;
    size_t number; /* of the line that was returned last */
};

/* The next line without its newline; false at the end. The server insists on the last newline. */
static bool next_line(struct lines *l, const char **line, size_t *len)
{
    const char *stop = l->p < l->end ? memchr(l->p, '\n', (size_t)(l->end - l->p)) : NULL;

    if (stop == NULL)
        return false;
    *line = l->p;
    *len = (size_t)(stop - l->p);
    l->p = stop + 1;
    l->number++;
    return true;
}

static int wrong(const struct lines *l, const char *expected, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "backup label, line %zu: expected \"%s\"", l->number,
                   expected);
}

/* The text behind a fixed beginning of the next line, copied (cut never: too long is an error). */
static int field(struct lines *l, const char *key, char *out, size_t room, struct err *err)
{
    const char *line;
    size_t len, n = strlen(key);

    if (!next_line(l, &line, &len)) {
        l->number++;
        return wrong(l, key, err);
    }
    if (len < n || memcmp(line, key, n) != 0 || len - n >= room || memchr(line, '\r', len) != NULL)
        return wrong(l, key, err);
    memcpy(out, line + n, len - n);
    out[len - n] = '\0';
    return 0;
}

/* "0/C000028 (file 00000001000000000000000C)" */
static int parse_start(struct backup_label *b, char *text)
{
    char *file = strstr(text, " (file ");
    struct wal_file wal;
    size_t n;

    if (file == NULL)
        return -1;
    *file = '\0';
    file += strlen(" (file ");
    n = strlen(file);
    if (n != WAL_SEGMENT_NAME || file[n - 1] != ')')
        return -1;
    file[n - 1] = '\0';
    if (wal_file_parse(file, &wal) != 0 || wal.kind != WAL_SEGMENT)
        return -1;
    memcpy(b->wal_file, file, WAL_SEGMENT_NAME);
    b->tli = wal.tli;
    return lsn_parse(text, &b->start_lsn);
}

static int parse_source(struct backup_label *b, struct lines *l, struct err *err)
{
    char text[64];

    TRY(field(l, "BACKUP METHOD: ", text, sizeof text, err));
    b->streamed = strcmp(text, "streamed") == 0;
    if (!b->streamed && strcmp(text, "pg_rewind") != 0)
        return wrong(l, "BACKUP METHOD: streamed", err);
    TRY(field(l, "BACKUP FROM: ", text, sizeof text, err));
    b->from_standby = strcmp(text, "standby") == 0;
    if (!b->from_standby && strcmp(text, "primary") != 0 && strcmp(text, "master") != 0)
        return wrong(l, "BACKUP FROM: primary", err);
    return 0;
}

int backup_label_parse(const char *text, size_t len, struct backup_label *out, struct err *err)
{
    struct lines l = {text, text + len, 0};
    struct backup_label b = {0};
    char value[128];
    const char *line;
    size_t n;

    if (len > LABEL_MAX_BYTES || (len > 0 && memchr(text, '\0', len) != NULL))
        return err_set(err, ERR_CORRUPT, "backup label of %zu bytes is not a text file", len);
    TRY(field(&l, "START WAL LOCATION: ", value, sizeof value, err));
    if (parse_start(&b, value) != 0)
        return wrong(&l, "START WAL LOCATION: X/X (file ...)", err);
    TRY(field(&l, "CHECKPOINT LOCATION: ", value, sizeof value, err));
    if (lsn_parse(value, &b.checkpoint_lsn) != 0)
        return wrong(&l, "CHECKPOINT LOCATION: X/X", err);
    TRY(parse_source(&b, &l, err));
    TRY(field(&l, "START TIME: ", b.start_time, sizeof b.start_time, err));
    TRY(field(&l, "LABEL: ", b.label, sizeof b.label, err));
    TRY(field(&l, "START TIMELINE: ", value, sizeof value, err));
    if (oid_parse(value) != b.tli)
        return wrong(&l, "START TIMELINE: the timeline of the file above", err);
    while (next_line(&l, &line, &n))
        b.incremental |= n > 17 && memcmp(line, "INCREMENTAL FROM ", 17) == 0;
    if (l.p != l.end)
        return err_set(err, ERR_CORRUPT, "backup label does not end with a newline");
    *out = b;
    return 0;
}

static void add_link(struct tablespace_map *m, uint32_t oid, const char *path)
{
    m->links = xrealloc(m->links, (m->count + 1) * sizeof *m->links);
    m->links[m->count++] = (struct tablespace_link){oid, xstrdup(path)};
}

static bool is_escaped(char c, unsigned major)
{
    return c == '\n' || c == '\r' || (c == '\\' && major >= 14);
}

/* One logical line, without its newline and its escapes. -1: not a line of such a file. */
static int map_line(struct cursor *c, unsigned major, struct buf *line)
{
    buf_clear(line);
    while (cur_left(c) > 0) {
        char byte = (char)cur_u8(c);

        if (byte == '\n')
            return 0;
        if (byte == '\r' || byte == '\0')
            return -1;
        if (byte == '\\' && cur_left(c) > 0 && is_escaped((char)*c->p, major))
            byte = (char)cur_u8(c);
        else if (byte == '\\' && major >= 14)
            return -1;
        buf_addc(line, byte);
    }
    return -1; /* no newline at the end */
}

int tablespace_map_parse(const char *text, size_t len, unsigned major, struct tablespace_map *out,
                         struct err *err)
{
    AUTO(tablespace_map_free) struct tablespace_map m = {.major = major};
    AUTO(buf_free) struct buf line = BUF_INIT;
    struct cursor c = cursor_of(text, len);

    for (size_t n = 1; cur_left(&c) > 0; n++) {
        int ended = map_line(&c, major, &line);
        char *path = line.p == NULL ? NULL : strchr(line.p, ' ');
        uint32_t oid = 0;

        if (ended == 0 && path != NULL) {
            *path++ = '\0';
            oid = oid_parse(line.p);
        }
        if (oid == 0 || *path != '/')
            return err_set(err, ERR_CORRUPT,
                           "tablespace map, line %zu: expected an OID and an absolute path", n);
        for (size_t i = 0; i < m.count; i++)
            if (m.links[i].oid == oid)
                return err_set(err, ERR_CORRUPT, "tablespace map, line %zu: %" PRIu32 " again", n,
                               oid);
        add_link(&m, oid, path);
    }
    *out = m;
    m = (struct tablespace_map)TABLESPACE_MAP_INIT;
    return 0;
}

void tablespace_map_free(struct tablespace_map *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->links[i].path);
    free(m->links);
    *m = (struct tablespace_map)TABLESPACE_MAP_INIT;
}

void tablespace_map_format(const struct tablespace_map *m, struct buf *out)
{
    for (size_t i = 0; i < m->count; i++) {
        buf_addf(out, "%" PRIu32 " ", m->links[i].oid);
        for (const char *p = m->links[i].path; *p != '\0'; p++) {
            if (is_escaped(*p, m->major))
                buf_addc(out, '\\');
            buf_addc(out, *p);
        }
        buf_addc(out, '\n');
    }
}
