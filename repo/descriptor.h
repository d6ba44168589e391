/*
 * descriptor.h - bodies of the descriptor (also of features/<gen>) and of a cluster's info
 * (docs/format.md). Formats and parsers are pure; what is parsed points into the bytes
 * given.
 */
#ifndef PGBR_REPO_DESCRIPTOR_H
#define PGBR_REPO_DESCRIPTOR_H

#include "repo/object/fields.h"
#include "repo/repo.h"

/* A feature that a reader does not know: refuse; read but do not write or expire; ignore. */
enum feature_class { FEATURE_INCOMPATIBLE, FEATURE_READ_ONLY, FEATURE_COMPATIBLE, FEATURE_CLASSES };
enum { FEATURE_NAME_MAX = 64 };

struct feature_list { /* names as length-prefixed texts, behind each other */
    const uint8_t *p;
    size_t len;
};
struct descriptor {
    uint8_t repo_id[REPO_ID_SIZE];
    bool encrypted;
    int64_t created_us;
    uint32_t generation; /* 0 in the descriptor itself */
    struct feature_list features[FEATURE_CLASSES];
    struct mac_fields mac;
};

/* Appends the body. key: NULL for a plain repository. label: the object's, which the MAC covers. */
int descriptor_format(const struct descriptor *d, const struct repo_key *key, const char *label,
                      struct buf *out, struct err *err) MUST_CHECK;
/* ERR_CORRUPT, ERR_UNSUPPORTED. The MAC is not looked at, only found. */
int descriptor_parse(const void *body, size_t len, struct descriptor *d,
                     struct err *err) MUST_CHECK;
/* ERR_KEY: wrong key, or altered. */
int descriptor_authentic(const struct descriptor *d, const struct repo_key *key, const char *label,
                         struct err *err) MUST_CHECK;
/* The first feature of that class which this program does not know; false: knows all. */
bool descriptor_unknown(const struct descriptor *d, enum feature_class class,
                        char name[FEATURE_NAME_MAX + 1]);

/* Appends the body: all identities that the cluster ever had, oldest first. */
void info_format(const char *cluster, const struct identity *ids, size_t n, struct buf *out);
/* *ids: new memory. ERR_FOREIGN: of another cluster. */
int info_parse(const void *body, size_t len, const char *cluster, struct identity **ids, size_t *n,
               struct err *err) MUST_CHECK;

#endif
