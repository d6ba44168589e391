/* wal_form.h - what writing and reading of archived WAL share. Internal to repo/. */
#ifndef PGBR_REPO_WAL_WAL_FORM_H
#define PGBR_REPO_WAL_WAL_FORM_H

#include <stdbool.h>
#include <string.h>

#include "repo/object/object.h"
#include "repo/wal/wal_object.h"

enum {
    WAL_CHUNK_SIZE = 1 << 20, /* raw bytes of a WAL chunk; the last may be shorter */
    SEGMENT_DIGITS = 24,      /* of a segment */
};

/* A segment, whole or partial; anything else is stored as one text. */
static inline bool wal_is_segment(const char *file)
{
    size_t len = strlen(file);

    return len == SEGMENT_DIGITS ||
           (len > SEGMENT_DIGITS && strcmp(file + SEGMENT_DIGITS, ".partial") == 0);
}

/* Adds the chunks of a segment to its object, encoded by this many threads, the caller's one of
 * them. */
int wal_press(struct object_writer *w, const struct repo *r, const char *label,
              const struct wal_source *s, unsigned threads, struct err *err) MUST_CHECK;

#endif
