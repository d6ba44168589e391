/* repo.c - what an open repository knows. See repo.h; opening is in repo_open.c. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/repo_form.h"

enum { PACK_SIZE = 32 << 20, LEASE_TTL_S = 900, LEASE_HEARTBEAT_S = 60 };
enum { RESTORE_PIN_S = 86400, RESUME_S = 3 * 86400 };

struct repo *repo_new(struct store *store, const struct repo_options *o)
{
    struct repo *r = xcalloc(1, sizeof *r);

    r->store = store;
    r->name = xstrdup(o->name);
    r->cluster = xstrdup(o->cluster);
    r->state_dir = xstrdup(o->state_dir);
    r->keep_key = o->keep_key;
    r->level = o->level;
    r->pack_size = o->pack_size != 0 ? o->pack_size : (uint64_t)PACK_SIZE;
    r->lease_ttl_s = o->lease_ttl_s != 0 ? o->lease_ttl_s : LEASE_TTL_S;
    r->restore_pin_s = o->restore_pin_s != 0 ? o->restore_pin_s : RESTORE_PIN_S;
    r->lease_heartbeat_s = o->lease_heartbeat_s != 0 ? o->lease_heartbeat_s : LEASE_HEARTBEAT_S;
    r->resume_window_s = o->resume_window_s != 0 ? o->resume_window_s : RESUME_S;
    return r;
}

void repo_close(struct repo **r)
{
    if (*r == NULL)
        return;
    repo_save_proofs(*r);
    store_close(&(*r)->store);
    free((*r)->name);
    free((*r)->cluster);
    free((*r)->state_dir);
    free((*r)->read_only);
    free((*r)->ids);
    mem_wipe(*r, sizeof **r);
    free(*r);
    *r = NULL;
}

struct store *repo_store(const struct repo *r)
{
    return r->store;
}

const char *repo_name(const struct repo *r)
{
    return r->name;
}

const char *repo_cluster(const struct repo *r)
{
    return r->cluster;
}

const uint8_t *repo_id(const struct repo *r)
{
    return r->id;
}

bool repo_encrypted(const struct repo *r)
{
    return r->encrypted;
}

const struct repo_key *repo_key(const struct repo *r)
{
    return r->has_key ? &r->key : NULL;
}

int repo_level(const struct repo *r)
{
    return r->level;
}

uint64_t repo_pack_size(const struct repo *r)
{
    return r->pack_size;
}

unsigned repo_lease_ttl_s(const struct repo *r)
{
    return r->lease_ttl_s;
}

unsigned repo_restore_pin_s(const struct repo *r)
{
    return r->restore_pin_s;
}

unsigned repo_lease_heartbeat_s(const struct repo *r)
{
    return r->lease_heartbeat_s;
}

unsigned repo_resume_window_s(const struct repo *r)
{
    return r->resume_window_s;
}

const char *repo_state_dir(const struct repo *r)
{
    return r->state_dir;
}

const char *repo_read_only(const struct repo *r)
{
    return r->read_only;
}

int repo_may_delete(const struct repo *r, struct err *err)
{
    if (r->read_only == NULL || r->read_only_code == ERR_KEY)
        return 0;
    return err_set(err, r->read_only_code, "%s", r->read_only);
}

int repo_coder(const struct repo *r, const char *label, struct coder **c, struct err *err)
{
    TRY(coder_new(c, repo_key(r), label, r->level, err));
    if (r->read_only != NULL)
        coder_set_read_only(*c, r->read_only_code, r->read_only);
    return 0;
}

const struct identity *repo_identities(const struct repo *r, size_t *n)
{
    *n = r->n_ids;
    return r->ids;
}

bool repo_knows(const struct repo *r, uint64_t system_id, unsigned major)
{
    for (size_t i = 0; i < r->n_ids; i++)
        if (r->ids[i].system_id == system_id && r->ids[i].major == major)
            return true;
    return false;
}
