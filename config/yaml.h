/*
 * yaml.h - a YAML document as a tree that remembers where everything stood.
 *
 * Made for configuration: every scalar is text, keys are scalars, a key appears once. Aliases are
 * shared, not copied, and merge keys ("<<") are expanded up to a limit; depth and number of nodes
 * are limited too, so hostile input costs time and memory in proportion to its length. All memory
 * belongs to the document; it may hold secrets and is wiped when freed. (Names do not begin with
 * "yaml_": libyaml exports many of its own, and the linker would exchange them silently.)
 */
#ifndef PGBR_CONFIG_YAML_H
#define PGBR_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
    YAML_DEPTH_MAX = 32,     /* nested lists and maps */
    YAML_NODES_MAX = 200000, /* nodes, and entries of lists and maps */
    YAML_ANCHORS_MAX = 1000,
    YAML_MERGED_MAX = 256, /* entries of a map that uses "<<" */
};

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    unsigned line, column; /* from 1 */
    bool plain;            /* a scalar without quotes */
    const char *tag;       /* an explicit tag that is not YAML's own, e.g. "!vault"; or NULL */
    const char *text;      /* scalar; never holds a NUL */
    size_t n;              /* list, map: entries */
    struct node_entry *first;
};
struct node_entry {
    const struct node *key; /* NULL in a list */
    const struct node *value;
    struct node_entry *next;
};

struct document;

/* An empty file is a document whose root is an empty map. Errors: ERR_CONFIG, "line L, column C:
 * ...".
 */
int document_read(const char *text, size_t len, struct document **doc, struct err *err) MUST_CHECK;
void document_free(struct document **doc);
const struct node *document_root(const struct document *doc);

/* The value under a key of a map; NULL: none, or not a map. */
const struct node *node_get(const struct node *map, const char *key);

/* "null", "~" or nothing at all, without quotes. */
bool node_is_null(const struct node *n);

/* "text", "a list", "a map": for messages. */
const char *node_kind_name(const struct node *n);

#endif
