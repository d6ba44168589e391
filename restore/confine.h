/*
 * confine.h - a child that can change files only where it is told, held by the kernel (Landlock,
 * Linux 5.19 and later).
 *
 * The second lock on the door: whatever WAL, a library or a statement makes the server of a
 * rehearsal do, it and its children cannot create, write, rename or remove anything elsewhere,
 * though they may read it.
 */
#ifndef PGBR_RESTORE_CONFINE_H
#define PGBR_RESTORE_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct confinement {
    int rules; /* -1: the kernel has none */
};
#define CONFINEMENT_INIT \
    {                    \
        -1               \
    }

/* dirs (n of them) may be written to, with all below them, and what programs need of /dev. network:
 * TCP connections to elsewhere are allowed. Without the kernel's help: 0 with rules -1. */
int confine_prepare(struct confinement *c, const char *const *dirs, size_t n, bool network,
                    struct err *err) MUST_CHECK;
/* For this process and its children, for good. Only system calls: to be called after fork(). True
 * without rules. */
bool confine_self(const struct confinement *c);
void confine_free(struct confinement *c);

#endif
