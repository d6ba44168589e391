/* library.c - see library.h. */
#include "base/library.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static void load(struct library *l)
{
    void *handle = dlopen(l->file, RTLD_NOW | RTLD_LOCAL); /* for good */

    if (handle == NULL) {
        const char *why = dlerror();

        snprintf(l->failure, sizeof l->failure, "cannot load %s: %s", l->file,
                 why == NULL ? "no reason is told" : why);
        return;
    }
    for (size_t i = 0; i < l->n; i++) {
        void *function = dlsym(handle, l->names[i]);

        if (function == NULL) {
            snprintf(l->failure, sizeof l->failure, "%s lacks the function %s", l->file,
                     l->names[i]);
            return;
        }
        memcpy((char *)l->table + i * sizeof function, &function, sizeof function);
    }
    if (l->begin != NULL && l->begin() != 0)
        snprintf(l->failure, sizeof l->failure, "%s cannot be set up", l->file);
}

int library_load(struct library *l, struct err *err)
{
    assert(l->size == l->n * sizeof(void *));
    pthread_mutex_lock(&l->lock);
    if (!l->tried)
        load(l);
    l->tried = true;
    pthread_mutex_unlock(&l->lock);
    if (l->failure[0] != '\0')
        return err_set(err, ERR_UNSUPPORTED, "%s; install Debian package %s, or a newer one",
                       l->failure, l->package);
    return 0;
}
