/*
 * fields.h - maps of the configuration file into structs, by tables of known keys.
 *
 * Shared by the readers of this folder. A table says for every key where its value goes, how it is
 * written and what its limits are; reading a map refuses keys that are not in the table and names
 * the nearest one. Errors begin with "line L, column C: ".
 */
#ifndef PGBR_CONFIG_FIELDS_H
#define PGBR_CONFIG_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "config/yaml.h"

enum field_kind {
    FIELD_TEXT,     /* char *: any text, no control characters */
    FIELD_PATH,     /* char *: absolute */
    FIELD_SECRET,   /* char *: never shown; sets config->has_secret */
    FIELD_CONNINFO, /* char *: a secret if there is a password in it */
    FIELD_BOOL,     /* bool */
    FIELD_INT,      /* int */
    FIELD_UNSIGNED, /* unsigned */
    FIELD_SIZE,     /* uint64_t: bytes */
    FIELD_MS,       /* int64_t; limits in ms */
    FIELD_SECONDS,  /* unsigned; limits in ms */
    FIELD_CHOICE,   /* an enum: one of choices */
    FIELD_NOTE_BOOL,
    FIELD_NOTE_SIZE, /* checked, then only a note: the key has no effect */
    FIELD_ELSEWHERE, /* known; read by the caller */
};

struct choice {
    const char *name; /* the list ends with NULL */
    int value;
};

struct field {
    const char *key;
    enum field_kind kind;
    size_t at; /* offset in the struct */
    int64_t min, max;
    const struct choice *choices;
    const char *note; /* why the key has no effect */
};

/* Reads what the map gives; the rest of *out keeps its defaults. where: 'repository "local"'. */
int fields_read(struct config *c, const struct node *map, const char *where,
                const struct field *fields, size_t n, void *out, struct err *err) MUST_CHECK;

/* ERR_CONFIG at the place of the node (or of the file as a whole: n NULL). */
int fail_here(const struct node *n, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The node must be a scalar without a foreign tag, not empty; what: 'the name of a cluster'. */
int want_text(const struct node *n, const char *what, struct err *err) MUST_CHECK;
int want_map(const struct node *n, const char *what, struct err *err) MUST_CHECK;
/* The same and [A-Za-z0-9_-]{1,63}. */
int want_name(const struct node *n, const char *what, struct err *err) MUST_CHECK;

struct config_place place_of(const struct node *n);

void note_add(struct config *c, bool warning, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* One more element behind an array of n, zeroed. */
void *array_grow(void *array, size_t n, size_t size);

#endif
