/*
 * timeline.h - timeline history: which timeline a WAL position belongs to.
 *
 * A history file (NNNNNNNN.history, timeline.c of PostgreSQL) has one line for each ancestor,
 * oldest first: "<tli>\t<switch LSN>\t<reason>". Timeline 1 has no file. A switch LSN may lie
 * before that of the line above it: recovery along timeline 3 that stops before 3 had begun still
 * writes both 2's and 3's line. So the newest timeline that had begun at a position owns it, as for
 * the server; begin and end below are made disjoint accordingly, and such a timeline is left empty.
 */
#ifndef PGBR_POSTGRES_TIMELINE_H
#define PGBR_POSTGRES_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { HISTORY_MAX_BYTES = 1 << 20 }; /* more than any server writes */

struct history_entry {
    uint32_t tli;
    uint64_t begin, end; /* owns begin <= LSN < end; the last entry's end is UINT64_MAX */
    uint64_t switch_lsn; /* as written in the file; UINT64_MAX for the last entry */
    char *reason;        /* as written; NULL for the last entry */
};

struct history {
    uint32_t tli;                  /* the timeline whose history this is */
    struct history_entry *entries; /* ancestors, oldest first, then the timeline itself */
    size_t count;                  /* at least 1 after a successful parse */
};
#define HISTORY_INIT \
    {                \
        0, NULL, 0   \
    }

/* Reads the content of tli's history file. ERR_CORRUPT names the line. *out is set on success only
 * and then the caller's to free. */
int history_parse(uint32_t tli, const char *text, size_t len, struct history *out,
                  struct err *err) MUST_CHECK;
/* The history of a timeline without ancestors, such as 1. */
void history_root(uint32_t tli, struct history *out);
void history_free(struct history *h);
/* Appends the content of a history file: for one that was parsed, entry by entry what was read. */
void history_format(const struct history *h, struct buf *out);

/* The timeline that owns the position on the way to h->tli. */
uint32_t history_tli_at(const struct history *h, uint64_t lsn);
/* The timeline whose segment file holds this segment on the way to h->tli: where a switch lies
 * inside it, the child's file, which begins with a copy of the parent's bytes. */
uint32_t history_segment_tli(const struct history *h, uint64_t segno, uint32_t segsz);
/* Does position lsn of timeline tli lie on the way to h->tli? A position that was reached and is
 * the very switch point counts as reached on both (a backup may stop exactly there). */
bool history_reaches(const struct history *h, uint32_t tli, uint64_t lsn);
/* NULL when tli is not on the way. */
const struct history_entry *history_find(const struct history *h, uint32_t tli);

#endif
