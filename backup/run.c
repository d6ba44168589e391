/* run.c - the end of a backup, whatever its outcome. See run.h. */
#include "backup/run.h"

#include <stdlib.h>

#include "base/log.h"

/* Who writes into the set: what is open is abandoned, what a thread of a packer is just sending is
 * waited for. */
static void end_writing(struct run *r)
{
    copy_made_free(&r->copied);
    manifest_abandon(&r->manifest);
}

void run_close(struct run *r)
{
    struct err err = {0};

    session_close(&r->session); /* also ends backup mode on the server */
    end_writing(r);
    if (r->lease != NULL && lease_release(&r->lease, &err) != 0)
        log_warning("the lease of set %s was not released: %s", r->label, err.msg);
    adopt_free(&r->adoption);
    increment_free(&r->increment);
    set_free(&r->set);
    list_free(&r->list);
    results_free(&r->results);
    finished_free(&r->finished);
    for (uint32_t i = 0; r->found.tablespaces != NULL && i < r->found.n_tablespaces; i++)
        free(r->found.tablespaces[i].location);
    free(r->found.tablespaces);
    fd_close(&r->data_fd);
    lock_release(&r->lock);
}
