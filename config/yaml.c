/*
 * yaml.c - libyaml's events to a tree. See yaml.h.
 *
 * Own tree building instead of libyaml's document API, because that one keeps no duplicate keys
 * from slipping through, has no limits of its own, and takes several allocations per node, which
 * archive-push would pay for with every segment.
 */
#include "config/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"

enum { BLOCK_SIZE = 16 << 10 };

/* Memory of a document: blocks that are filled and only freed together. */
struct block {
    struct block *next;
    size_t used, size;
    _Alignas(16) char data[];
};

struct anchor {
    const char *name;
    const struct node *node; /* NULL while it is being read: an alias inside it would be a loop */
    struct anchor *next;
};

struct document {
    struct block *blocks;
    const struct node *root;
};

/* A list or map that is being read. */
struct frame {
    struct node *node;
    struct node_entry **tail; /* where the next entry is hung */
    const struct node *key;   /* read, its value not yet */
    struct anchor *anchor;
    bool merges; /* has a "<<" */
};

struct builder {
    yaml_parser_t parser;
    struct document *doc;
    struct anchor *anchors; /* newest first, which is the one an alias means */
    size_t n_anchors;
    struct frame stack[YAML_DEPTH_MAX];
    size_t depth;
    size_t nodes;
};

static void *take(struct document *doc, size_t size)
{
    struct block *b = doc->blocks;
    void *p;

    size = (size + 15) & ~(size_t)15;
    if (b == NULL || b->size - b->used < size) {
        size_t room = MAX_OF(size, (size_t)BLOCK_SIZE);
        b = xmalloc(sizeof *b + room);
        *b = (struct block){.next = doc->blocks, .size = room};
        doc->blocks = b;
    }
    p = b->data + b->used;
    b->used += size;
    return p;
}

static const char *take_text(struct document *doc, const void *text, size_t len)
{
    char *p = take(doc, len + 1);

    memcpy(p, text, len);
    p[len] = '\0';
    return p;
}

static int fail_at(struct err *err, yaml_mark_t mark, const char *what)
{
    return err_set(err, ERR_CONFIG, "line %zu, column %zu: %s", mark.line + 1, mark.column + 1,
                   what);
}

static int fail_node(struct err *err, const struct node *n, const char *what)
{
    return err_set(err, ERR_CONFIG, "line %u, column %u: %s", n->line, n->column, what);
}

static int count(struct builder *b, yaml_mark_t mark, struct err *err)
{
    if (++b->nodes > YAML_NODES_MAX)
        return fail_at(err, mark, "the file has too many entries");
    return 0;
}

/* Tags of YAML itself ("!!str") change nothing here, since every value is read as its key wants. */
static const char *foreign_tag(struct document *doc, const yaml_char_t *tag)
{
    const char *text = (const char *)tag;

    if (tag == NULL || strcmp(text, "!") == 0 || strncmp(text, "tag:yaml.org,2002:", 18) == 0)
        return NULL;
    return take_text(doc, text, strlen(text));
}

static int node_new(struct builder *b, enum node_kind kind, const yaml_char_t *tag,
                    const yaml_event_t *event, struct node **out, struct err *err)
{
    struct node *n;

    TRY(count(b, event->start_mark, err));
    n = take(b->doc, sizeof *n);
    *n = (struct node){.kind = kind,
                       .line = (unsigned)event->start_mark.line + 1,
                       .column = (unsigned)event->start_mark.column + 1,
                       .tag = foreign_tag(b->doc, tag)};
    *out = n;
    return 0;
}

/* *out is NULL for a node without a name. */
static int anchor_new(struct builder *b, const yaml_char_t *name, yaml_mark_t mark,
                      struct anchor **out, struct err *err)
{
    struct anchor *a;

    *out = NULL;
    if (name == NULL)
        return 0;
    if (++b->n_anchors > YAML_ANCHORS_MAX)
        return fail_at(err, mark, "the file has too many anchors");
    a = take(b->doc, sizeof *a);
    *a = (struct anchor){take_text(b->doc, name, strlen((const char *)name)), NULL, b->anchors};
    b->anchors = *out = a;
    return 0;
}

static int alias(struct builder *b, const yaml_event_t *event, const struct node **out,
                 struct err *err)
{
    const char *name = (const char *)event->data.alias.anchor;

    for (const struct anchor *a = b->anchors; a != NULL; a = a->next)
        if (strcmp(a->name, name) == 0) {
            if (a->node == NULL)
                return fail_at(err, event->start_mark, "an alias inside what it stands for");
            *out = a->node;
            return 0;
        }
    return err_set(err, ERR_CONFIG, "line %zu, column %zu: there is no anchor \"&%.64s\"",
                   event->start_mark.line + 1, event->start_mark.column + 1, name);
}

static bool is_merge_key(const struct node *key)
{
    return key->plain && strcmp(key->text, "<<") == 0;
}

/* Puts a finished (or begun) node where it belongs. */
static int place(struct builder *b, const struct node *n, yaml_mark_t mark, struct err *err)
{
    struct frame *f;
    struct node_entry *e;

    if (b->depth == 0) {
        b->doc->root = n;
        return 0;
    }
    f = &b->stack[b->depth - 1];
    if (f->node->kind == NODE_MAP && f->key == NULL) {
        if (n->kind != NODE_SCALAR)
            return fail_at(err, mark, "a key must be plain text");
        f->key = n;
        return 0;
    }
    TRY(count(b, mark, err));
    e = take(b->doc, sizeof *e);
    *e = (struct node_entry){.key = f->key, .value = n};
    f->merges |= f->key != NULL && is_merge_key(f->key);
    f->key = NULL;
    *f->tail = e;
    f->tail = &e->next;
    f->node->n++;
    return 0;
}

static int scalar(struct builder *b, const yaml_event_t *event, struct err *err)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    struct node *n;
    struct anchor *a;

    if (memchr(text, '\0', len) != NULL)
        return fail_at(err, event->start_mark, "text with a zero byte");
    TRY(node_new(b, NODE_SCALAR, event->data.scalar.tag, event, &n, err));
    n->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    n->text = take_text(b->doc, text, len);
    TRY(anchor_new(b, event->data.scalar.anchor, event->start_mark, &a, err));
    if (a != NULL)
        a->node = n;
    return place(b, n, event->start_mark, err);
}

static int open_node(struct builder *b, const yaml_event_t *event, enum node_kind kind,
                     const yaml_char_t *tag, const yaml_char_t *anchor, struct err *err)
{
    struct anchor *a;
    struct node *n;

    if (b->depth == YAML_DEPTH_MAX)
        return fail_at(err, event->start_mark, "nested too deeply");
    TRY(node_new(b, kind, tag, event, &n, err));
    TRY(place(b, n, event->start_mark, err));
    TRY(anchor_new(b, anchor, event->start_mark, &a, err));
    b->stack[b->depth++] = (struct frame){.node = n, .tail = &n->first, .anchor = a};
    return 0;
}

/* Adds the entries of a merged map whose keys the map does not have itself. */
static int merge_map(struct builder *b, struct frame *f, const struct node *at,
                     const struct node *from, struct err *err)
{
    if (from->kind != NODE_MAP)
        return fail_node(err, at, "\"<<\" needs a map, or a list of maps");
    for (const struct node_entry *e = from->first; e != NULL; e = e->next) {
        struct node_entry *copy;
        if (f->node->n > YAML_MERGED_MAX || ++b->nodes > YAML_NODES_MAX)
            return fail_node(err, at, "\"<<\" makes a map with too many keys");
        if (node_get(f->node, e->key->text) != NULL)
            continue;
        copy = take(b->doc, sizeof *copy);
        *copy = (struct node_entry){.key = e->key, .value = e->value};
        *f->tail = copy;
        f->tail = &copy->next;
        f->node->n++;
    }
    return 0;
}

static int merge_value(struct builder *b, struct frame *f, const struct node *value,
                       struct err *err)
{
    if (value->kind != NODE_LIST)
        return merge_map(b, f, value, value, err);
    for (const struct node_entry *e = value->first; e != NULL; e = e->next)
        TRY(merge_map(b, f, value, e->value, err));
    return 0;
}

/* Replaces the "<<" entry by what it stands for. There is one at most: duplicates were refused. */
static int merge(struct builder *b, struct frame *f, struct err *err)
{
    struct node_entry **link = &f->node->first, *merged;

    while (!is_merge_key((*link)->key))
        link = &(*link)->next;
    merged = *link;
    *link = merged->next;
    if (f->tail == &merged->next)
        f->tail = link;
    f->node->n--;
    return merge_value(b, f, merged->value, err);
}

static int by_key(const void *a, const void *b)
{
    const struct node_entry *const *x = a, *const *y = b;
    int order = strcmp((*x)->key->text, (*y)->key->text);

    if (order != 0)
        return order;
    if ((*x)->key->line != (*y)->key->line)
        return (*x)->key->line < (*y)->key->line ? -1 : 1;
    return (*x)->key->column < (*y)->key->column ? -1 : (*x)->key->column > (*y)->key->column;
}

static int refuse_duplicate(const struct node *first, const struct node *second, struct err *err)
{
    return err_set(err, ERR_CONFIG,
                   "line %u, column %u: the key \"%.64s\" appears twice (first in line %u)",
                   second->line, second->column, second->text, first->line);
}

static int no_duplicates(const struct node *map, struct err *err)
{
    AUTO(mem_free) const struct node_entry **sorted = NULL;
    size_t n = 0;

    if (map->n <= 16) {
        for (const struct node_entry *e = map->first; e != NULL; e = e->next)
            for (const struct node_entry *f = map->first; f != e; f = f->next)
                if (strcmp(e->key->text, f->key->text) == 0)
                    return refuse_duplicate(f->key, e->key, err);
        return 0;
    }
    sorted = xcalloc(map->n, sizeof *sorted);
    for (const struct node_entry *e = map->first; e != NULL; e = e->next)
        sorted[n++] = e;
    qsort(sorted, n, sizeof *sorted, by_key);
    for (size_t i = 1; i < n; i++)
        if (strcmp(sorted[i - 1]->key->text, sorted[i]->key->text) == 0)
            return refuse_duplicate(sorted[i - 1]->key, sorted[i]->key, err);
    return 0;
}

static int close_node(struct builder *b, struct err *err)
{
    struct frame *f = &b->stack[--b->depth];

    if (f->node->kind == NODE_MAP) {
        TRY(no_duplicates(f->node, err));
        if (f->merges)
            TRY(merge(b, f, err));
    }
    if (f->anchor != NULL)
        f->anchor->node = f->node;
    return 0;
}

static int accept_event(struct builder *b, const yaml_event_t *e, struct err *err)
{
    const struct node *n = NULL;

    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->doc->root != NULL)
            return fail_at(err, e->start_mark, "a second document (\"---\") in one file");
        return 0;
    case YAML_ALIAS_EVENT:
        TRY(alias(b, e, &n, err));
        return place(b, n, e->start_mark, err);
    case YAML_SCALAR_EVENT:
        return scalar(b, e, err);
    case YAML_SEQUENCE_START_EVENT:
        return open_node(b, e, NODE_LIST, e->data.sequence_start.tag, e->data.sequence_start.anchor,
                         err);
    case YAML_MAPPING_START_EVENT:
        return open_node(b, e, NODE_MAP, e->data.mapping_start.tag, e->data.mapping_start.anchor,
                         err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_node(b, err);
    default:
        return 0;
    }
}

/* What libyaml found wrong, at the place it gives. */
static int syntax_error(const yaml_parser_t *p, struct err *err)
{
    yaml_mark_t mark = p->problem_mark;

    if (p->error == YAML_MEMORY_ERROR)
        return err_set(err, ERR_FAILED, "out of memory");
    if (p->error == YAML_READER_ERROR)
        return err_set(err, ERR_CONFIG, "not valid text at byte %zu: %s", p->problem_offset,
                       p->problem);
    if (p->context != NULL)
        return err_set(err, ERR_CONFIG, "line %zu, column %zu: %s %s (from line %zu, column %zu)",
                       mark.line + 1, mark.column + 1, p->problem, p->context,
                       p->context_mark.line + 1, p->context_mark.column + 1);
    return fail_at(err, mark, p->problem);
}

static void wipe_event(yaml_event_t *e)
{
    if (e->type == YAML_SCALAR_EVENT && e->data.scalar.value != NULL)
        mem_wipe(e->data.scalar.value, e->data.scalar.length);
    yaml_event_delete(e);
}

static int read_events(struct builder *b, struct err *err)
{
    for (bool done = false; !done;) {
        yaml_event_t event;
        int rc;

        if (!yaml_parser_parse(&b->parser, &event))
            return syntax_error(&b->parser, err);
        done = event.type == YAML_STREAM_END_EVENT;
        rc = accept_event(b, &event, err);
        wipe_event(&event);
        TRY(rc);
    }
    return 0;
}

int document_read(const char *text, size_t len, struct document **doc, struct err *err)
{
    static const struct node empty = {.kind = NODE_MAP, .line = 1, .column = 1};
    struct builder b = {.doc = xcalloc(1, sizeof *b.doc)};
    AUTO(document_free) struct document *made = b.doc;
    int rc;

    if (!yaml_parser_initialize(&b.parser))
        return err_set(err, ERR_FAILED, "out of memory");
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, len);
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    rc = read_events(&b, err);
    /* libyaml's copies of the text; these two members are part of its public struct */
    if (b.parser.raw_buffer.start != NULL)
        mem_wipe(b.parser.raw_buffer.start,
                 (size_t)(b.parser.raw_buffer.end - b.parser.raw_buffer.start));
    if (b.parser.buffer.start != NULL)
        mem_wipe(b.parser.buffer.start, (size_t)(b.parser.buffer.end - b.parser.buffer.start));
    yaml_parser_delete(&b.parser);
    TRY(rc);
    if (made->root == NULL || node_is_null(made->root))
        made->root = &empty;
    *doc = TAKE(made);
    return 0;
}

void document_free(struct document **doc)
{
    if (*doc == NULL)
        return;
    for (struct block *b = (*doc)->blocks, *next; b != NULL; b = next) {
        next = b->next;
        mem_wipe(b->data, b->used);
        free(b);
    }
    free(*doc);
    *doc = NULL;
}

const struct node *document_root(const struct document *doc)
{
    return doc->root;
}

const struct node *node_get(const struct node *map, const char *key)
{
    if (map == NULL || map->kind != NODE_MAP)
        return NULL;
    for (const struct node_entry *e = map->first; e != NULL; e = e->next)
        if (strcmp(e->key->text, key) == 0)
            return e->value;
    return NULL;
}

bool node_is_null(const struct node *n)
{
    return n->kind == NODE_SCALAR && n->plain &&
           (n->text[0] == '\0' || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

const char *node_kind_name(const struct node *n)
{
    switch (n->kind) {
    case NODE_LIST:
        return "a list";
    case NODE_MAP:
        return "a map";
    default:
        return "text";
    }
}
