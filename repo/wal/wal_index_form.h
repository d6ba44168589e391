/*
 * wal_index_form.h - the numbers of a WAL index's stored form, shared by its writer and its reader
 * and by nobody else. The form itself: docs/format.md, "WAL index".
 */
#ifndef PGBR_REPO_WAL_WAL_INDEX_FORM_H
#define PGBR_REPO_WAL_WAL_INDEX_FORM_H

#include "repo/wal/wal_index.h"

enum { INDEX_VERSION = 1 };
/* Ascending, each at most once; odd ones must be understood, even ones may be skipped. */
enum {
    TAG_SEGMENT = 1,
    TAG_REASON = 2,
    TAG_TIMELINES = 3,
    TAG_RECORDS = 5,
    TAG_XACTS = 7,
    TAG_EVENTS = 9,
    TAG_HEAD = 11,
    TAG_TAIL = 13,
    TAG_BLOCKS = 15,
};
enum {
    FLAGS_KNOWN = (1 << 9) - 1,
    WHAT_KNOWN = WAL_REL_CREATED | WAL_REL_DROPPED | WAL_REL_TRUNCATED,
    FORKS_KNOWN = (1 << WAL_FORKS) - 1,
};

#endif
