/* state.c - see state.h. */
#include "repo/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

enum { STATE_MAX = 1 << 20, STATE_IDS_MAX = 10000, WRITTEN_AT = 8 };
static const uint8_t state_magic[8] = {'p', 'g', 'b', 'r', 'S', 't', '0', '2'};

void state_free(struct repo_state *s)
{
    free(s->ids);
    mem_wipe(s, sizeof *s);
}

static void wipe_buf(struct buf *b)
{
    if (b->p != NULL)
        mem_wipe(b->p, b->cap);
    buf_free(b);
}

void state_format(const struct repo_state *s, const char *where, struct buf *out)
{
    size_t start = out->len;
    struct hash128 hash;

    buf_reserve(out, 4096); /* so that no copy of the key is left behind by growing */
    buf_add(out, state_magic, sizeof state_magic);
    buf_u64(out, (uint64_t)s->written_us);
    buf_blob(out, where, strlen(where));
    buf_add(out, s->repo_id, REPO_ID_SIZE);
    buf_u8(out, s->encrypted);
    buf_uv(out, s->info_gen);
    buf_uv(out, s->n_ids);
    for (size_t i = 0; i < s->n_ids; i++) {
        buf_u64(out, s->ids[i].system_id);
        buf_uv(out, s->ids[i].major);
    }
    buf_u64(out, (uint64_t)s->proofs.proved_us);
    buf_u8(out, s->proofs.create_only);
    buf_u8(out, s->proofs.checksum);
    buf_u8(out, s->has_key);
    if (s->has_key)
        buf_add(out, s->key.bytes, REPO_KEY_SIZE);
    hash = hash128(out->p + start, out->len - start);
    buf_add(out, hash.bytes, sizeof hash);
}

static int refuse(struct err *err, const char *why)
{
    return err_set(err, ERR_CORRUPT, "%s", why);
}

static void copy_out(struct cursor *in, void *dst, size_t len)
{
    const uint8_t *p = cur_bytes(in, len);

    if (p != NULL)
        memcpy(dst, p, len);
}

static void parse_ids(struct cursor *in, struct repo_state *s)
{
    s->n_ids = (size_t)cur_uv_max(in, MIN_OF((size_t)STATE_IDS_MAX, cur_left(in) / 9));
    s->ids = xcalloc(s->n_ids, sizeof *s->ids);
    for (size_t i = 0; i < s->n_ids; i++) {
        s->ids[i].system_id = cur_u64(in);
        s->ids[i].major = (unsigned)cur_uv_max(in, UINT32_MAX);
    }
}

int state_parse(const void *data, size_t len, const char *where, struct repo_state *s,
                struct err *err)
{
    AUTO(state_free) struct repo_state made = {0};
    struct cursor in = cursor_of(data, len);
    const uint8_t *p = data, *text;
    struct hash128 hash;
    size_t n;

    if (len < sizeof state_magic + sizeof hash || memcmp(p, state_magic, sizeof state_magic) != 0)
        return refuse(err, "not a state file of this version");
    in.end -= sizeof hash;
    hash = hash128(data, len - sizeof hash);
    if (memcmp(hash.bytes, in.end, sizeof hash) != 0)
        return refuse(err, "damaged");
    cur_bytes(&in, sizeof state_magic);
    made.written_us = (int64_t)cur_u64(&in);
    text = cur_blob(&in, &n);
    if (text == NULL || n != strlen(where) || memcmp(text, where, n) != 0)
        return refuse(err, "of a repository at another place");
    copy_out(&in, made.repo_id, REPO_ID_SIZE);
    made.encrypted = cur_u8(&in) != 0;
    made.info_gen = (uint32_t)cur_uv_max(&in, UINT32_MAX);
    parse_ids(&in, &made);
    made.proofs.proved_us = (int64_t)cur_u64(&in);
    made.proofs.create_only = cur_u8(&in);
    made.proofs.checksum = cur_u8(&in);
    if (made.proofs.create_only > STORE_REFUTED || made.proofs.checksum > STORE_REFUTED)
        return refuse(err, "malformed");
    made.has_key = cur_u8(&in) != 0;
    if (made.has_key)
        copy_out(&in, made.key.bytes, REPO_KEY_SIZE);
    if (!cur_done(&in))
        return refuse(err, "malformed");
    *s = made;
    made = (struct repo_state){0};
    return 0;
}

/* The configuration's name may hold anything; what could be another path does not come through. */
static char *state_path(const char *dir, const char *name, const char *cluster)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    buf_addf(&b, "%s/%s@", dir, cluster);
    for (const char *p = name; *p != '\0'; p++) {
        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
            strchr("_-.", *p) != NULL)
            buf_addc(&b, *p);
        else
            buf_addf(&b, "%%%02x", (unsigned char)*p);
    }
    buf_adds(&b, ".state");
    return buf_steal(&b);
}

/* ERR_NOT_FOUND is no news; everything else is worth a warning. */
static int read_private(const char *path, struct buf *out, struct err *err)
{
    AUTO(fd_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    size_t got;

    if (fd < 0 || fstat(fd, &st) != 0)
        return err_sys(err, "cannot open \"%s\"", path);
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return err_set(err, ERR_DENIED,
                       "\"%s\" belongs to user %u with mode %04o, expected user %u and 0600", path,
                       (unsigned)st.st_uid, (unsigned)st.st_mode & 07777, (unsigned)geteuid());
    if (st.st_size > STATE_MAX)
        return err_set(err, ERR_CORRUPT, "\"%s\" has %lld bytes", path, (long long)st.st_size);
    buf_reserve(out, (size_t)st.st_size);
    TRY(fs_pread_all(fd, out->p, (size_t)st.st_size, 0, &got, path, err));
    out->len = got;
    return 0;
}

bool state_load(const char *dir, const char *name, const char *cluster, const char *where,
                struct repo_state *s)
{
    AUTO(mem_free) char *path = state_path(dir, name, cluster);
    AUTO(wipe_buf) struct buf content = BUF_INIT;
    struct err err = {0};

    if (read_private(path, &content, &err) == 0) {
        if (state_parse(content.p, content.len, where, s, &err) == 0)
            return true;
        err_context(&err, "\"%s\"", path);
    }
    if (err.code != ERR_NOT_FOUND)
        log_warning("state file is ignored: %s", err.msg);
    return false;
}

/* What is there says the same, and will for a while. */
static bool still_good(const char *path, const struct buf *wanted, int64_t written_us)
{
    AUTO(wipe_buf) struct buf there = BUF_INIT;
    struct err err = {0};
    int64_t age;

    if (read_private(path, &there, &err) != 0 || there.len != wanted->len)
        return false;
    age = written_us - (int64_t)get_u64(there.p + WRITTEN_AT);
    /* All but the time and the hash, which covers the time. */
    return age >= 0 && age < (int64_t)STATE_STALE_S * 1000000 / 2 &&
           memcmp(there.p + WRITTEN_AT + 8, wanted->p + WRITTEN_AT + 8,
                  wanted->len - WRITTEN_AT - 8 - sizeof(struct hash128)) == 0;
}

void state_save(const char *dir, const char *name, const char *cluster, const char *where,
                const struct repo_state *s)
{
    AUTO(mem_free) char *path = state_path(dir, name, cluster);
    AUTO(wipe_buf) struct buf content = BUF_INIT;
    struct err err = {0};

    crash_point("state-saving");
    state_format(s, where, &content);
    if (still_good(path, &content, s->written_us))
        return;
    if (fs_mkdirs(dir, 0700, &err) != 0 ||
        fs_replace(AT_FDCWD, path, content.p, content.len, 0600, &err) != 0)
        log_warning("state file is not written, the next start will be slower: %s", err.msg);
}
