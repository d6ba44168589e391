/*
 * s3_xml.h - what an object store answers in XML: listings, results of deletions, errors.
 *
 * Pure, from bytes to a struct. The bytes are hostile until checked: a document type (entities), a
 * depth, a text or a count beyond what S3 sends is refused, and keys are decoded but not judged.
 */
#ifndef PGBR_REPO_STORE_S3_XML_H
#define PGBR_REPO_STORE_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    S3_XML_MAX = 16 << 20, /* bytes of a document: 1,000 keys of 1,024 bytes, encoded, are 4 MB */
    S3_XML_ITEMS_MAX = 100000, /* some stores send more than the 1,000 that were asked for */
};

enum s3_root {
    S3_ROOT_OTHER,
    S3_ROOT_ERROR,   /* <Error>: code, message and, where it fits, region or endpoint */
    S3_ROOT_LIST,    /* <ListBucketResult> */
    S3_ROOT_DELETED, /* <DeleteResult> */
};

struct s3_item {
    char *key; /* decoded */
    uint64_t size;
    int64_t modified_us; /* whole seconds, as other answers have it; 0: not said */
    bool is_prefix;
};

struct s3_refusal { /* of one key of a deletion */
    char *key;
    char code[64];
    char message[256];
};

struct s3_reply {
    enum s3_root root;
    char code[64], message[512], region[64], endpoint[256];
    bool truncated, encoded; /* a listing: more follows; its keys were percent-encoded */
    char *next;              /* the token that continues it */
    struct s3_item *items;   /* in the order of the document */
    size_t n_items;
    struct s3_refusal *refusals;
    size_t n_refusals;
};
void s3_reply_free(struct s3_reply *r);

/* ERR_CORRUPT when it is not well-formed, not complete or beyond a limit. */
int s3_xml_parse(const void *data, size_t len, struct s3_reply *out, struct err *err) MUST_CHECK;

/* "2009-10-12T17:50:30.000Z"; a fraction is cut off. False: not a time. */
bool s3_time_parse(const char *text, int64_t *us);

#endif
