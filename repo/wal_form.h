/* wal_form.h - what writing and reading of archived WAL share. Internal to repo/. */
#ifndef PGBR_REPO_WAL_FORM_H
#define PGBR_REPO_WAL_FORM_H

enum { WAL_CHUNK_SIZE = 1 << 20 }; /* raw bytes of a WAL chunk; the last may be shorter */

#endif
