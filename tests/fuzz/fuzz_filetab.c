/*
 * fuzz_filetab.c - blocks of the file table, and their index. What is accepted may be created by a
 * restore, comes in order, and survives being written and read again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "repo/manifest/manifest_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETS = 3, MAPS = 3 };
static char postgres[] = "postgres";
static struct attribute attributes[] = {{0700, postgres, postgres}, {0600, postgres, postgres}};
static const struct attributes owners = {attributes, 2, 0};
static const struct filetab_limits limits = {&owners, SETS, MAPS};

/* A second opinion. */
static void check_path(const char *path)
{
    AUTO(buf_free) struct buf framed = BUF_INIT;

    buf_addf(&framed, "/%s/", path);
    if (strstr(framed.p, "//") != NULL || strstr(framed.p, "/./") != NULL ||
        strstr(framed.p, "/../") != NULL)
        abort();
}

static void check_entry(const struct entry *e, const struct buf *before)
{
    struct err err;

    check_path(e->path);
    if (before->len != 0 && path_compare(before->p, e->path) >= 0)
        abort();
    if (filetab_check(e, &err) != 0)
        abort();
}

static int read_all(struct filetab_reader *r, struct filetab_writer *w)
{
    AUTO(buf_free) struct buf before = BUF_INIT;
    struct map_ref ref;
    struct entry e;
    struct err err;
    int more;

    while ((more = filetab_next(r, &limits, &e, &ref, &err)) == 1) {
        check_entry(&e, &before);
        buf_clear(&before);
        buf_adds(&before, e.path);
        filetab_add(w, &e, e.mode == 0700 ? 0 : 1, ref.len != 0 ? &ref : NULL);
    }
    return more;
}

static bool block_again(const void *bytes, size_t len, struct buf *out)
{
    AUTO(filetab_end) struct filetab_reader r = {0};
    AUTO(filetab_free) struct filetab_writer w = {0};
    struct err err;

    if (filetab_begin(&r, bytes, len, &err) != 0 || read_all(&r, &w) != 0)
        return false;
    filetab_finish(&w, out);
    return true;
}

static bool index_again(const void *bytes, size_t len, struct buf *out)
{
    AUTO(file_index_free) struct file_index x = {0};
    struct err err;

    if (file_index_parse(bytes, len, SETS, &x, &err) != 0)
        return false;
    file_index_write(&x, out);
    return true;
}

static void twice(bool (*again)(const void *, size_t, struct buf *), const uint8_t *data,
                  size_t size)
{
    AUTO(buf_free) struct buf first = BUF_INIT;
    AUTO(buf_free) struct buf second = BUF_INIT;

    if (!again(data, size, &first))
        return;
    if (!again(first.p, first.len, &second) || first.len != second.len ||
        memcmp(first.p, second.p, first.len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    twice(block_again, data, size);
    twice(index_again, data, size);
    return 0;
}
