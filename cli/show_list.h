/* show_list.h - the output of "pgbr list": text for people, or one JSON document. Gathered, then
 * printed at once. */
#ifndef PGBR_CLI_SHOW_LIST_H
#define PGBR_CLI_SHOW_LIST_H

#include "base/json.h"
#include "scheduler/status/view.h"

struct list_out {
    bool json;
    struct buf text;
    struct json j;
};
void list_begin_out(struct list_out *o, bool json);
void list_show_cluster(struct list_out *o, const char *name);
void list_show_repo(struct list_out *o, struct repo *r, const struct view *v);
void list_show_failure(struct list_out *o, const char *repo, const char *why);
void list_end_cluster(struct list_out *o);
void list_print(struct list_out *o);
void list_out_free(struct list_out *o);

#endif
