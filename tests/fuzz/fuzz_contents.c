/* fuzz_contents.c - CONTENTS of a pack. What is accepted survives being written and read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/pack/contents_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_chunk(struct contents_builder *b, const struct contents *c,
                      const struct contents_chunk *k)
{
    AUTO(mem_free) struct bundle_part *parts = xcalloc(k->n_parts + 1, sizeof *parts);
    struct chunk_note note = {.parts = parts, .n_parts = k->n_parts};

    if (k->type == CHUNK_PAGES)
        note = (struct chunk_note){.path = c->paths[k->path],
                                   .file_size = c->sizes[k->path],
                                   .mtime_s = c->mtimes[k->path],
                                   .runs = c->runs + k->first_run,
                                   .n_runs = k->n_runs};
    for (uint32_t i = 0; i < k->n_parts; i++) {
        const struct contents_part *p = &c->parts[k->first_part + i];
        parts[i] = (struct bundle_part){c->paths[p->path], p->offset, p->length};
    }
    contents_add(b, k->type, k->raw_len, &k->hash, &note);
}

static bool again(const void *bytes, size_t len, struct buf *out)
{
    AUTO(contents_builder_free) struct contents_builder b = {0};
    AUTO(contents_free) struct contents c = {0};
    struct err err;

    if (contents_parse(bytes, len, &c, &err) != 0)
        return false;
    for (uint32_t i = 0; i < c.n_chunks; i++)
        add_chunk(&b, &c, &c.chunks[i]);
    contents_finish(&b, &c.id, out);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_free) struct buf first = BUF_INIT;
    AUTO(buf_free) struct buf second = BUF_INIT;

    if (!again(data, size, &first))
        return 0;
    if (!again(first.p, first.len, &second) || first.len != second.len ||
        memcmp(first.p, second.p, first.len) != 0)
        abort();
    return 0;
}
