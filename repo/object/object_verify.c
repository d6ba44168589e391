/* object_verify.c - an object against the hash in its trailer, without any key. See object.h. */
#include <string.h>

#include "base/fs.h"
#include "repo/object/object_form.h"

struct pass {
    struct hasher *hasher;
    uint64_t at, size;
    uint8_t trailer[OBJECT_TRAILER];
};

static void pass_free(struct pass *p)
{
    hasher_free(&p->hasher);
}

/* The trailer may begin in one piece and end in the next. */
static void take_piece(struct pass *p, const uint8_t *data, size_t len)
{
    uint64_t hashed = p->size - OBJECT_TRAILER;
    size_t before = p->at >= hashed ? 0 : (size_t)MIN_OF((uint64_t)len, hashed - p->at);

    hasher_add(p->hasher, data, before);
    if (before < len)
        memcpy(p->trailer + (p->at + before - hashed), data + before, len - before);
    p->at += len;
}

static int read_piece(struct pass *p, struct store *store, const char *key, uint8_t *buffer,
                      size_t *got, struct err *err)
{
    uint64_t size;

    TRY(store_get(store, key, p->at, FS_IO_SIZE, buffer, got, &size, err));
    if (p->at == 0)
        p->size = size;
    if (size < OBJECT_HEADER + OBJECT_TRAILER)
        return err_set(err, ERR_CORRUPT, "%llu bytes cannot be an object",
                       (unsigned long long)size);
    if (size != p->size || *got != MIN_OF((uint64_t)FS_IO_SIZE, size - p->at))
        return err_set(err, ERR_CORRUPT, "%zu bytes at %llu of %llu: it changed or was cut off",
                       *got, (unsigned long long)p->at, (unsigned long long)size);
    return 0;
}

static int verify(struct pass *p, struct store *store, const char *key, uint8_t *buffer,
                  struct object_head *head, struct err *err)
{
    struct object_head own;
    struct trailer t;
    struct hash128 hash;
    size_t got;

    do {
        TRY(read_piece(p, store, key, buffer, &got, err));
        if (p->at == 0)
            TRY(object_head_parse(buffer, head != NULL ? head : &own, err));
        take_piece(p, buffer, got);
    } while (p->at < p->size);
    TRY(trailer_parse(p->trailer, p->size, &t, err));
    hash = hasher_digest(p->hasher);
    if (memcmp(hash.bytes, t.hash.bytes, sizeof hash) != 0)
        return err_set(err, ERR_CORRUPT, "its bytes are not those that were written (XXH3-128)");
    return 0;
}

int object_verify_at_rest(struct store *store, const char *key, void *buffer, uint64_t *size,
                          struct object_head *head, struct err *err)
{
    AUTO(pass_free) struct pass p = {.hasher = hasher_new()};

    if (verify(&p, store, key, buffer, head, err) != 0)
        return err_context(err, "object \"%s\"", key);
    if (size != NULL)
        *size = p.size;
    return 0;
}

int object_is_torn(struct store *store, const char *key, bool *torn, struct err *err)
{
    uint8_t bytes[OBJECT_TRAILER];
    struct trailer t;
    uint64_t size;
    size_t got;

    TRY(store_tail(store, key, sizeof bytes, bytes, &got, &size, err));
    *torn = size < OBJECT_HEADER + OBJECT_TRAILER || trailer_parse(bytes, size, &t, err) != 0;
    err_clear(err);
    return 0;
}
