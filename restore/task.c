/* task.c - see task.h. */
#include "restore/task.h"

#include <stdlib.h>

#include "base/mem.h"

struct task *task_new(void)
{
    return xcalloc(1, sizeof(struct task));
}

void task_free(struct task **t)
{
    if (*t == NULL)
        return;
    for (size_t i = 0; i < (*t)->n; i++)
        late_crc_drop(&(*t)->items[i].crc);
    free((*t)->items);
    free((*t)->extents);
    buf_free(&(*t)->text);
    free(*t);
    *t = NULL;
}

void task_drop(void *task)
{
    struct task *t = task;
    task_free(&t);
}

struct item *task_add(struct task *t, const char *path)
{
    struct item *i;

    if (t->n == t->cap) {
        t->cap = t->cap == 0 ? 8 : t->cap * 2;
        t->items = xrealloc(t->items, t->cap * sizeof *t->items);
    }
    i = &t->items[t->n++];
    *i = (struct item){.path = (uint32_t)t->text.len, .first_extent = (uint32_t)t->n_extents};
    buf_add(&t->text, path, strlen(path) + 1);
    return i;
}

void task_add_extent(struct task *t, struct item *i, struct extent e)
{
    if (t->n_extents == t->cap_extents) {
        t->cap_extents = t->cap_extents == 0 ? 16 : t->cap_extents * 2;
        t->extents = xrealloc(t->extents, t->cap_extents * sizeof *t->extents);
    }
    t->extents[t->n_extents++] = e;
    i->n_extents++;
}
