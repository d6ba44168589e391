/* open.c - see open.h. */
#include "config/open.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/parts.h"
#include "repo/store/s3.h"

enum { PUSH_DEADLINE_S = 60 }; /* PostgreSQL itself asks again */

/* Keys are looked for in a fresh copy of the configuration, so that files are read again. */
static int read_keys(void *ctx, struct s3_keys *out, struct err *err)
{
    AUTO(repo_config_free) struct repo_config r = {0};

    repo_copy(&r, ctx, "");
    TRY(repo_config_s3_keys(&r, err));
    out->key = TAKE(r.s3_key);
    out->secret = TAKE(r.s3_key_secret);
    out->token = TAKE(r.s3_token);
    return 0;
}

static void free_keys_source(void **ctx)
{
    struct repo_config *r = *ctx;

    repo_config_free(r);
    free(r);
    *ctx = NULL;
}

static int open_s3(const struct config *c, const struct repo_config *r, enum repo_open_mode mode,
                   struct store **s, struct err *err)
{
    bool plain = strncmp(r->s3_endpoint, "http://", 7) == 0;
    struct repo_config *source = xcalloc(1, sizeof *source);
    const struct s3_options o = {
        .endpoint = r->s3_endpoint,
        .port = plain && r->storage_port == 443 ? 0 : r->storage_port,
        .host = r->storage_host,
        .bucket = r->s3_bucket,
        .region = r->s3_region,
        .prefix = r->path,
        .path_style = r->s3_uri_style == CONFIG_URI_PATH,
        .ca_file = r->storage_ca_file,
        .ca_path = r->storage_ca_path,
        .no_verify = !r->storage_verify_tls,
        .keys = read_keys,
        .keys_ctx = source,
        .keys_free = free_keys_source,
        .deadline_s = mode == REPO_OPEN_QUICK ? PUSH_DEADLINE_S : 0,
        .stop = c->stop,
    };

    repo_copy(source, r, "");
    return store_s3_open(s, &o, err);
}

static int open_store(const struct config *c, const struct repo_config *r, bool create,
                      enum repo_open_mode mode, struct store **s, struct err *err)
{
    if (r->type == CONFIG_REPO_S3)
        return open_s3(c, r, mode, s, err);
    return store_posix_open(s, r->path, create, err);
}

static struct repo_options options_of(const struct config *c, const struct cluster_config *cluster,
                                      const struct repo_config *r)
{
    return (struct repo_options){
        .name = r->name,
        .cluster = cluster->name,
        .state_dir = c->state_dir,
        .encrypted = r->cipher_type != CONFIG_CIPHER_NONE,
        .keep_key = r->key_cache,
        .lease_ttl_s = r->lease_ttl_s,
        .lease_heartbeat_s = r->lease_heartbeat_s,
        .restore_pin_s = r->restore_pin_s,
        .resume_window_s = MAX_OF(r->resume_window_s, 1u), /* 0 would be the default */
        .level = config_compress_level(r, cluster),
        .pack_size = r->pack_size,
    };
}

int config_key_secret(struct repo_config *r, struct key_secret *out, struct err *err)
{
    TRY(repo_config_secrets(r, err));
    if (r->cipher_key_file != NULL)
        out->key_file = r->cipher_key_file;
    else
        out->passphrase = r->cipher_pass;
    return 0;
}

/* Secrets are read only where the way of opening may need them. */
static int fill_secret(struct repo_config *r, struct repo_options *o, struct err *err)
{
    return o->encrypted ? config_key_secret(r, &o->secret, err) : 0;
}

static int open_or_init(const struct config *c, const struct cluster_config *cluster,
                        const char *name, bool init, enum repo_open_mode mode, struct repo **r,
                        bool *created, struct err *err)
{
    AUTO(repo_config_free) struct repo_config conf = {0};
    struct repo_options options;
    struct store *store = NULL;

    TRY(config_repo(c, cluster, name, &conf, err));
    options = options_of(c, cluster, &conf);
    if ((mode == REPO_OPEN_NO_KEY && !init) || fill_secret(&conf, &options, err) == 0) {
        if (open_store(c, &conf, init, mode, &store, err) == 0 &&
            (init ? repo_init(r, store, &options, created, err)
                  : repo_open(r, store, &options, mode, err)) == 0)
            return 0;
    }
    return err_context(err, "repository \"%s\"", conf.name);
}

int config_open_repo(const struct config *c, const struct cluster_config *cluster, const char *name,
                     enum repo_open_mode mode, struct repo **r, struct err *err)
{
    return open_or_init(c, cluster, name, false, mode, r, NULL, err);
}

int config_init_repo(const struct config *c, const struct cluster_config *cluster, const char *name,
                     struct repo **r, bool *created, struct err *err)
{
    return open_or_init(c, cluster, name, true, REPO_OPEN_FULL, r, created, err);
}

static bool is_optional(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->n_repos; i++)
        if (strcmp(c->repos[i].name, name) == 0)
            return c->repos[i].optional;
    return false;
}

int config_open_repos(const struct config *c, const struct cluster_config *cluster,
                      const char *only, enum repo_open_mode mode, struct open_repos *out,
                      struct err *err)
{
    out->items = xcalloc(cluster->n_repos, sizeof *out->items);
    out->n = 0;
    for (size_t i = 0; i < cluster->n_repos; i++) {
        const char *name = cluster->repos[i];
        struct open_repo *item = &out->items[out->n];

        if (only != NULL && strcmp(only, name) != 0)
            continue;
        item->name = xstrdup(name);
        item->required = !is_optional(c, name);
        out->n++;
        if (config_open_repo(c, cluster, name, mode, &item->repo, &item->why) != 0)
            item->repo = NULL;
    }
    if (out->n == 0) {
        open_repos_close(out);
        return err_set(err, ERR_USAGE, "cluster \"%s\" has no repository \"%s\"", cluster->name,
                       only);
    }
    return 0;
}

void open_repos_close(struct open_repos *repos)
{
    for (size_t i = 0; i < repos->n; i++) {
        repo_close(&repos->items[i].repo);
        free(repos->items[i].name);
    }
    free(repos->items);
    *repos = (struct open_repos){0};
}
