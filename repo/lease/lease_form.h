/*
 * lease_form.h - the stored body of a lease (docs/format.md, "Lease"): what is written in lease.c
 * and read in lease_read.c.
 */
#ifndef PGBR_REPO_LEASE_LEASE_FORM_H
#define PGBR_REPO_LEASE_LEASE_FORM_H

#include "repo/lease/lease.h"

enum {
    LEASE_STATE = 1,    /* uv: enum lease_state */
    LEASE_HOST = 2,     /* text, for people */
    LEASE_SYSTEM = 3,   /* 8 bytes */
    LEASE_PID = 4,      /* uv, for people */
    LEASE_MAJOR = 5,    /* uv */
    LEASE_WAL = 6,      /* 8 bytes: WAL from this position on is needed; left out: not known */
    LEASE_TIMELINE = 7, /* uv */
    LEASE_BASE = 9,     /* a label; left out: none */
    LEASE_ADOPTED = 11, /* labels of 25 bytes, one after the other; left out: none */
};
enum lease_state { LEASE_ACTIVE = 1, LEASE_RELEASED = 2 };

enum { LEASE_HOST_MAX = 255, LEASE_ADOPTED_MAX = 10000 };

/* The label field of the object, which is its key below the cluster: "lease/<set>". */
void lease_label(char out[OBJECT_LABEL + 1], const char *set);
/* Appends the body. */
void lease_format(const struct lease_terms *terms, enum lease_state state, struct buf *out);
/* Pure: replaces *out by what the body says (not set, age and live); untouched on failure.
 * ERR_CORRUPT; ERR_UNSUPPORTED: an unknown state or critical field. */
int lease_parse(const void *bytes, size_t len, struct lease_seen *out, struct err *err) MUST_CHECK;
/* Frees what one of them owns. */
void lease_seen_clear(struct lease_seen *s);

#endif
