/*
 * map_form.h - inside of struct wal_map, for those who look for targets in it. Internal to wal/.
 *
 * All segments stored, in order of timeline and position, 48 bytes each; what was read of one is
 * kept with it (wal/index/segment.h).
 */
#ifndef PGBR_WAL_REACH_MAP_FORM_H
#define PGBR_WAL_REACH_MAP_FORM_H

#include "wal/index/segment.h"
#include "wal/reach/target.h"

struct map_segment {
    uint64_t segno, stored_bytes;
    uint32_t timeline;
    bool remembered, crossing_remembered; /* wal/reach/recall.h has it */
    int64_t modified_us;
    struct segment_note *note; /* NULL: not read yet */
};
struct map_history {
    uint32_t timeline;
    bool readable;
    struct history history;
    char *why; /* not readable: the reason */
};

struct wal_map {
    uint64_t system_id;
    unsigned major;
    uint32_t segment_size;
    struct map_segment *segments;
    size_t n_segments;
    struct wal_stretch *stretches;
    size_t *firsts; /* of each stretch: its first segment's place in segments */
    size_t n_stretches;
    struct map_history *histories; /* ascending; timeline 1 always */
    size_t n_histories;
    size_t records_read; /* of wal/reach/recall.h */
};

/* NULL: not stored. The note may be filled in. */
struct map_segment *map_segment(const struct wal_map *m, uint32_t timeline, uint64_t segno);

/* The timeline whose file holds a segment on the way to line->tli. */
uint32_t map_file_tli(const struct wal_map *m, const struct history *line, uint64_t segno);
/* The last segment of the unbroken row that starts with segno; segno - 1 when not even that one is
 * stored. */
uint64_t map_unbroken(const struct wal_map *m, const struct history *line, uint64_t segno);
/* The first stored segment on the way behind segno; UINT64_MAX: none. */
uint64_t map_later(const struct wal_map *m, const struct history *line, uint64_t segno);

/* What PostgreSQL takes as latest: the last of the unbroken row of history files from `from` on. */
uint32_t map_newest(const struct wal_map *m, uint32_t from);
/* History of a timeline; NULL: *why says what is the matter (a static text or the map's). */
const struct history *map_history(const struct wal_map *m, uint32_t timeline, const char **why);
/* Is this backup's WAL on the way to line->tli? */
bool map_backup_fits(const struct history *line, const struct pubinfo *backup);

#endif
