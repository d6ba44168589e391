/* object_form.h - what the writing and the reading half of object.h share. */
#ifndef PGBR_REPO_OBJECT_OBJECT_FORM_H
#define PGBR_REPO_OBJECT_OBJECT_FORM_H

#include "base/hash.h"
#include "repo/object/object.h"

enum { DIR_VERSION = 1 };

/* Kinds 9 to 12: leases, marks, key slots, descriptors. */
bool object_kind_plain(enum object_kind kind);
/* The pack number that chunks are bound to. */
uint32_t object_logical_pack(const struct object_head *head);

struct trailer {
    uint64_t dir_offset;
    uint32_t dir_len, chunks;
    uint64_t index_offset; /* of the first CONTENTS or WALSUM chunk; 0: none */
    uint32_t index_len;
    struct hash128 hash; /* of all bytes before the trailer */
};
void trailer_format(const struct trailer *t, uint8_t bytes[OBJECT_TRAILER]);
/* Pure. object_size is at least OBJECT_HEADER + OBJECT_TRAILER. */
int trailer_parse(const void *bytes, uint64_t object_size, struct trailer *t,
                  struct err *err) MUST_CHECK;

/* The directory's raw bytes to a table of n chunks, which must lie without gaps between header and
 * dir_offset. Pure. */
int object_dir_parse(const void *raw, size_t len, uint32_t n, uint64_t dir_offset,
                     struct object_chunk *chunks, struct err *err) MUST_CHECK;

#endif
