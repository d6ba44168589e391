/* pgmanifest.c - see pgmanifest.h. */
#include "restore/pgmanifest.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "postgres/lsn.h"

#define FILE_NAME "backup_manifest"
enum { FLUSH_AT = 256 << 10, CRC_DIGITS = 8, CRC_FROM_END = CRC_DIGITS + 3 /* " } */ };

struct pgmanifest {
    int fd;
    const struct pubinfo *pub;
    pthread_mutex_t lock; /* of text and written */
    struct buf text;      /* not yet written */
    uint64_t written;     /* bytes of the file before it */
    bool any;
};

void pgmanifest_free(struct pgmanifest **m)
{
    if (*m == NULL)
        return;
    fd_close(&(*m)->fd);
    buf_free(&(*m)->text);
    pthread_mutex_destroy(&(*m)->lock);
    free(*m);
    *m = NULL;
}

static int flush(struct pgmanifest *m, struct err *err)
{
    TRY(fs_write_all(m->fd, m->text.p, m->text.len, FILE_NAME, err));
    m->written += m->text.len;
    buf_clear(&m->text);
    return 0;
}

int pgmanifest_begin(struct pgmanifest **out, int dirfd, const struct pubinfo *pub, struct err *err)
{
    struct pgmanifest *m = xcalloc(1, sizeof *m);
    unsigned major = pub->pg_version / 10000;

    *out = m;
    m->pub = pub;
    pthread_mutex_init(&m->lock, NULL);
    m->fd = openat(dirfd, FILE_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (m->fd < 0) {
        err_sys(err, "cannot create \"" FILE_NAME "\"");
        pgmanifest_free(out);
        return -1;
    }
    buf_addf(&m->text, "{ \"PostgreSQL-Backup-Manifest-Version\": %d,\n", major >= 17 ? 2 : 1);
    if (major >= 17)
        buf_addf(&m->text, "\"System-Identifier\": %llu,\n", (unsigned long long)pub->system_id);
    buf_adds(&m->text, "\"Files\": [");
    return 0;
}

/* ---- a file ---- */

/* Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
static size_t utf8_length(const uint8_t *p)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : 4;

    if ((p[0] >= 0x80 && p[0] < 0xc2) || p[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

static bool is_utf8(const char *text)
{
    const uint8_t *p = (const uint8_t *)text;

    while (*p != 0) {
        size_t n = utf8_length(p);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

static void add_path(struct buf *out, const char *path)
{
    if (is_utf8(path)) {
        buf_adds(out, "{ \"Path\": \"");
        json_escape(out, path, strlen(path));
    } else {
        buf_adds(out, "{ \"Encoded-Path\": \"");
        buf_hex(out, path, strlen(path));
    }
    buf_adds(out, "\", ");
}

static void two_digits(char *p, int n)
{
    p[0] = (char)('0' + n / 10);
    p[1] = (char)('0' + n % 10);
}

void pgmanifest_time(struct buf *out, int64_t unix_s)
{
    static const int64_t first = -62167219200, last = 253402300799; /* years 0 to 9999 */
    char text[] = "YYYY-MM-DD HH:MM:SS GMT";
    time_t t = (time_t)(unix_s < first ? first : unix_s > last ? last : unix_s);
    struct tm tm;

    gmtime_r(&t, &tm);
    two_digits(text, (tm.tm_year + 1900) / 100);
    two_digits(text + 2, (tm.tm_year + 1900) % 100);
    two_digits(text + 5, tm.tm_mon + 1);
    two_digits(text + 8, tm.tm_mday);
    two_digits(text + 11, tm.tm_hour);
    two_digits(text + 14, tm.tm_min);
    two_digits(text + 17, tm.tm_sec);
    buf_add(out, text, sizeof text - 1);
}

void pgmanifest_line(struct buf *out, const char *path, uint64_t size, int64_t mtime_s,
                     uint32_t crc32c)
{
    uint8_t crc[4];

    put_u32(crc, crc32c);
    add_path(out, path);
    buf_addf(out, "\"Size\": %llu, \"Last-Modified\": \"", (unsigned long long)size);
    pgmanifest_time(out, mtime_s);
    buf_adds(out, "\", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"");
    buf_hex(out, crc, sizeof crc);
    buf_adds(out, "\" }");
}

int pgmanifest_add(struct pgmanifest *m, const char *path, uint64_t size, int64_t mtime_s,
                   uint32_t crc32c, struct err *err)
{
    uint64_t ignored;

    TRY(pgmanifest_add_later(m, path, size, mtime_s, &ignored, err));
    return pgmanifest_set(m, ignored, crc32c, err);
}

int pgmanifest_add_later(struct pgmanifest *m, const char *path, uint64_t size, int64_t mtime_s,
                         uint64_t *at, struct err *err)
{
    int rc = 0;

    pthread_mutex_lock(&m->lock);
    if (m->text.len >= FLUSH_AT)
        rc = flush(m, err);
    buf_adds(&m->text, m->any ? ",\n" : "\n");
    m->any = true;
    pgmanifest_line(&m->text, path, size, mtime_s, 0);
    *at = m->written + m->text.len - CRC_FROM_END;
    pthread_mutex_unlock(&m->lock);
    return rc;
}

int pgmanifest_set(struct pgmanifest *m, uint64_t at, uint32_t crc32c, struct err *err)
{
    AUTO(buf_free) struct buf hex = BUF_INIT;
    uint8_t crc[4];
    int rc = 0;

    put_u32(crc, crc32c);
    buf_hex(&hex, crc, sizeof crc);
    pthread_mutex_lock(&m->lock);
    if (at >= m->written)
        memcpy(m->text.p + (at - m->written), hex.p, CRC_DIGITS);
    else
        rc = fs_pwrite_all(m->fd, hex.p, CRC_DIGITS, at, FILE_NAME, err);
    pthread_mutex_unlock(&m->lock);
    return rc;
}

/* ---- the end ---- */

/* Newest timeline first, as the server writes them. */
static void add_wal_ranges(struct pgmanifest *m)
{
    char start[LSN_TEXT], stop[LSN_TEXT];

    buf_adds(&m->text, "\n],\n\"WAL-Ranges\": [\n");
    for (uint32_t i = m->pub->n_spans; i-- != 0;) {
        const struct wal_span *s = &m->pub->spans[i];
        buf_addf(&m->text, "{ \"Timeline\": %u, \"Start-LSN\": \"%s\", \"End-LSN\": \"%s\" }%s\n",
                 s->timeline, lsn_format(s->start, start), lsn_format(s->stop, stop),
                 i == 0 ? "" : ",");
    }
    buf_adds(&m->text, "],\n");
}

/* Over every byte that was written, read back: some of them came late. */
static int sum_of_all(struct pgmanifest *m, uint8_t digest[32], struct err *err)
{
    struct sha256 *sum = sha256_new();
    AUTO(mem_free) uint8_t *piece = xmalloc(FLUSH_AT);
    uint64_t at = 0;
    size_t got = 1;
    int rc = 0;

    while (rc == 0 && got != 0) {
        rc = fs_pread_all(m->fd, piece, FLUSH_AT, at, &got, FILE_NAME, err);
        if (rc == 0)
            sha256_add(sum, piece, got);
        at += got;
    }
    sha256_done(&sum, digest);
    return rc;
}

int pgmanifest_finish(struct pgmanifest *m, struct err *err)
{
    uint8_t digest[32];

    add_wal_ranges(m);
    TRY(flush(m, err));
    TRY(sum_of_all(m, digest, err));
    buf_adds(&m->text, "\"Manifest-Checksum\": \"");
    buf_hex(&m->text, digest, sizeof digest);
    buf_adds(&m->text, "\"}\n");
    return flush(m, err);
}
