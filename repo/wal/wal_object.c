/*
 * wal_object.c - see wal_object.h: storing WAL files, and what an existing object of the same name
 * means. Reading is in wal_fetch.c.
 */
#include "repo/wal/wal_object.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "repo/object/object_form.h"
#include "repo/object/settle.h"
#include "repo/wal/wal_form.h"

/* ---- what the header says of the content ---- */

/* First 16 bytes of HMAC-SHA-256(key, name, 0, XXH3-128 of the raw file). Guards against accidents;
 * the MACs guard against malice. */
static int content_tag(const struct repo *r, const struct wal_source *s, uint8_t tag[16],
                       struct err *err)
{
    struct hash128 hash = hash128(s->raw, s->raw_len);
    uint8_t key[CRYPT_KEY], mac[CRYPT_TAG];
    AUTO(buf_free) struct buf text = BUF_INIT;
    size_t key_len = 0;
    int rc;

    if (repo_key(r) != NULL) {
        TRY(key_wal_tag(repo_key(r), key, err));
        key_len = sizeof key;
    }
    buf_add(&text, s->file, strlen(s->file) + 1);
    buf_add(&text, hash.bytes, sizeof hash.bytes);
    rc = crypt_hmac(key, key_len, text.p, text.len, mac, err);
    mem_wipe(key, sizeof key);
    TRY(rc);
    memcpy(tag, mac, 16);
    return 0;
}

/* ---- one object ---- */

static int write_object(struct repo *r, const struct wal_source *s, const char *key,
                        enum store_mode mode, struct object_head *head, unsigned threads,
                        struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(object_abandon) struct object_writer *w = NULL;
    uint64_t size = 0;

    TRY(repo_coder(r, head->label, &coder, err));
    TRY(object_create(&w, repo_store(r), key, mode, head, coder, err));
    if (!wal_is_segment(s->file))
        TRY(object_add(w, CHUNK_TEXT, CHUNK_PRIVATE, 1, s->raw, s->raw_len, NULL, err));
    else
        TRY(wal_press(w, r, head->label, s, threads, err));
    if (s->index != NULL)
        TRY(object_add(w, CHUNK_WALSUM, CHUNK_PRIVATE, 1, s->index, s->index_len, NULL, err));
    if (object_commit(&w, STORE_DURABLE, &size, err) == 0)
        return 0;
    return object_settle(repo_store(r), key, head, size, err);
}

/* ---- what is there already ---- */

enum found { FOUND_SAME, FOUND_BROKEN };

static int conflict(const struct repo *r, const struct wal_source *s,
                    const struct object_head *mine, const struct object_head *theirs,
                    struct err *err)
{
    AUTO(buf_free) struct buf a = BUF_INIT;
    AUTO(buf_free) struct buf b = BUF_INIT;
    char when[40];

    buf_hex(&a, mine->tag, sizeof mine->tag);
    buf_hex(&b, theirs->tag, sizeof theirs->tag);
    return err_set(
        err, ERR_CONFLICT,
        "\"%s\" is stored already with other content, and is never overwritten: stored as "
        "%s on %s (content %s), offered for system identifier %llu, PostgreSQL %u, timeline "
        "%.8s (content %s); two servers seem to write the same timeline of cluster \"%s\": "
        "find out which one is right before anything else",
        s->file, theirs->label, clock_format_utc(theirs->created_us, when), buf_text(&b),
        (unsigned long long)s->system_id, s->major, s->file, buf_text(&a), repo_cluster(r));
}

/* Header and trailer. Without either it is nobody's: ERR_CORRUPT. */
static int look_at(struct store *store, const char *key, struct object_head *theirs,
                   struct err *err)
{
    uint8_t head[OBJECT_HEADER], tail[OBJECT_TRAILER];
    struct trailer ignored;
    uint64_t size;
    size_t got;

    TRY(store_get(store, key, 0, sizeof head, head, &got, &size, err));
    if (got != sizeof head || size < OBJECT_HEADER + OBJECT_TRAILER)
        return err_set(err, ERR_CORRUPT, "%llu bytes cannot be an object",
                       (unsigned long long)size);
    TRY(object_head_parse(head, theirs, err));
    TRY(store_tail(store, key, sizeof tail, tail, &got, &size, err));
    if (got != sizeof tail || size < OBJECT_HEADER + OBJECT_TRAILER)
        return err_set(err, ERR_CORRUPT, "it was cut off while it was read");
    return trailer_parse(tail, size, &ignored, err);
}

static int check_owner(const struct repo *r, const char *key, const struct object_head *theirs,
                       struct err *err)
{
    if (memcmp(theirs->repo_id, repo_id(r), sizeof theirs->repo_id) == 0)
        return 0;
    return err_set(err, ERR_FOREIGN,
                   "object \"%s\" is there already and belongs to another repository than \"%s\": "
                   "it is left as it is; move it away, or archive to another place",
                   key, repo_name(r));
}

/* -1 unless the error is one that means: broken. */
static int broken_if(struct err *err, enum found *found)
{
    if (err->code != ERR_CORRUPT)
        return -1;
    err_clear(err);
    *found = FOUND_BROKEN;
    return 0;
}

/* Whole, its bytes as written, ours, and durable: only then may a re-push succeed. Who it is comes
 * before whether its bytes are whole, so that another server's damaged segment stays too. */
static int examine(struct repo *r, const struct wal_source *s, const char *key,
                   const struct object_head *mine, enum found *found, struct err *err)
{
    AUTO(mem_free) void *buffer = NULL;
    struct object_head theirs;

    if (look_at(repo_store(r), key, &theirs, err) != 0)
        return broken_if(err, found);
    TRY(check_owner(r, key, &theirs, err));
    if (strcmp(theirs.label, mine->label) != 0 ||
        memcmp(theirs.tag, mine->tag, sizeof mine->tag) != 0)
        return conflict(r, s, mine, &theirs, err);
    buffer = xaligned(FS_ALIGN, FS_IO_SIZE);
    if (object_verify_at_rest(repo_store(r), key, buffer, NULL, NULL, err) != 0)
        return broken_if(err, found);
    *found = FOUND_SAME;
    return store_confirm(repo_store(r), key, err);
}

static int put(struct repo *r, const struct wal_source *s, const char *key,
               struct object_head *head, unsigned threads, enum wal_put *done, struct err *err)
{
    enum found found = FOUND_BROKEN;

    *done = WAL_STORED;
    if (write_object(r, s, key, STORE_CREATE_ONLY, head, threads, err) == 0)
        return 0;
    if (err->code != ERR_EXISTS)
        return -1;
    err_clear(err);
    TRY(examine(r, s, key, head, &found, err));
    *done = found == FOUND_SAME ? WAL_WAS_THERE : WAL_REPLACED_BROKEN;
    if (found == FOUND_BROKEN)
        return write_object(r, s, key, STORE_REPLACE, head, threads, err);
    return 0;
}

int wal_object_put(struct repo *r, const struct wal_source *s, unsigned threads, enum wal_put *done,
                   struct err *err)
{
    struct object_head head = {0};
    AUTO(buf_free) struct buf key = BUF_INIT;

    TRY(name_wal(&key, repo_cluster(r), s->system_id, s->major, s->file, err));
    TRY(label_wal(head.label, s->system_id, s->file, err));
    head.kind = wal_is_segment(s->file) ? OBJECT_WAL : OBJECT_WAL_OTHER;
    if (head.kind == OBJECT_WAL && s->raw_len == 0)
        return err_set(err, ERR_FAILED, "WAL segment \"%s\" is empty", s->file);
    TRY(content_tag(r, s, head.tag, err));
    memcpy(head.repo_id, repo_id(r), sizeof head.repo_id);
    return put(r, s, key.p, &head, threads, done, err);
}
