/*
 * repository.c - the block of a repository: keys, defaults, what must fit together.
 *
 * The keys are pgBackRest's option names with "_" for "-", because the blocks of existing
 * inventories are rendered into its configuration that way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "config/fields.h"
#include "config/parts.h"
#include "config/suggest.h"
#include "config/units.h"

#define AT(member) offsetof(struct repo_config, member)
#define DAYS(n) (INT64_C(86400000) * (n))
#define TEXT(key)                                   \
    {                                               \
#key, FIELD_TEXT, AT(key), 0, 0, NULL, NULL \
    }
#define PATH(key)                                   \
    {                                               \
#key, FIELD_PATH, AT(key), 0, 0, NULL, NULL \
    }
#define SECRET(key)                                   \
    {                                                 \
#key, FIELD_SECRET, AT(key), 0, 0, NULL, NULL \
    }
#define YES_NO(key)                                 \
    {                                               \
#key, FIELD_BOOL, AT(key), 0, 0, NULL, NULL \
    }
#define COUNT(key, min, max)                                \
    {                                                       \
#key, FIELD_UNSIGNED, AT(key), min, max, NULL, NULL \
    }
#define CHOICE(key, choices)                             \
    {                                                    \
#key, FIELD_CHOICE, AT(key), 0, 0, choices, NULL \
    }

static const struct choice types[] = {
    {"posix", CONFIG_REPO_POSIX}, {"s3", CONFIG_REPO_S3}, {NULL, 0}};
static const struct choice uri_styles[] = {
    {"host", CONFIG_URI_HOST}, {"path", CONFIG_URI_PATH}, {NULL, 0}};
static const struct choice ciphers[] = {
    {"none", CONFIG_CIPHER_NONE}, {"aes-256-cbc", CONFIG_CIPHER_AES_256_CBC}, {NULL, 0}};
static const struct choice retentions[] = {
    {"count", CONFIG_RETENTION_COUNT}, {"time", CONFIG_RETENTION_TIME}, {NULL, 0}};
static const struct choice archive_types[] = {{"full", CONFIG_ARCHIVE_FULL},
                                              {"diff", CONFIG_ARCHIVE_DIFF},
                                              {"incr", CONFIG_ARCHIVE_INCR},
                                              {NULL, 0}};

static const struct field repo_fields[] = {
    CHOICE(type, types),
    PATH(path),
    YES_NO(optional),
    TEXT(s3_bucket),
    TEXT(s3_endpoint),
    TEXT(s3_region),
    SECRET(s3_key),
    SECRET(s3_key_secret),
    SECRET(s3_token),
    PATH(s3_key_file),
    PATH(s3_key_secret_file),
    PATH(s3_token_file),
    PATH(s3_credentials_file),
    TEXT(s3_profile),
    CHOICE(s3_uri_style, uri_styles),
    TEXT(storage_host),
    COUNT(storage_port, 1, 65535),
    PATH(storage_ca_file),
    PATH(storage_ca_path),
    YES_NO(storage_verify_tls),
    CHOICE(cipher_type, ciphers),
    SECRET(cipher_pass),
    PATH(cipher_pass_file),
    PATH(cipher_key_file),
    YES_NO(key_cache),
    CHOICE(retention_full_type, retentions),
    COUNT(retention_full, 1, 9999999),
    COUNT(retention_diff, 1, 9999999),
    CHOICE(retention_archive_type, archive_types),
    COUNT(retention_archive, 1, 9999999),
    YES_NO(expire_auto),
    {"expire_grace", FIELD_MS, AT(expire_grace_ms), 0, DAYS(365), NULL, NULL},
    {"resume_window", FIELD_SECONDS, AT(resume_window_s), 0, DAYS(365), NULL, NULL},
    {"compress_level", FIELD_INT, AT(compress_level), -50, 22, NULL, NULL},
    {"pack_size", FIELD_SIZE, AT(pack_size), 256 << 10, 256 << 20, NULL, NULL},
    {"lease_ttl", FIELD_SECONDS, AT(lease_ttl_s), 3000, DAYS(1), NULL, NULL},
    {"restore_pin", FIELD_SECONDS, AT(restore_pin_s), 1000, DAYS(365), NULL, NULL},
    {"lease_heartbeat", FIELD_SECONDS, AT(lease_heartbeat_s), 1000, DAYS(1), NULL, NULL},
    {"block", FIELD_NOTE_BOOL, 0, 0, 0, NULL,
     "of changed files pgbr always stores the changed pages only"},
    {"bundle", FIELD_NOTE_BOOL, 0, 0, 0, NULL, "small files are always stored together"},
    {"bundle_limit", FIELD_NOTE_SIZE, 0, 0, 0, NULL,
     "pgbr knows itself which files are worth bundling"},
    {"bundle_size", FIELD_NOTE_SIZE, 0, 0, 0, NULL,
     "everything is stored in packs (\"pack_size\")"},
};

/* Everything that copying, replacing and freeing must touch. */
static const size_t texts[] = {
    AT(name),
    AT(path),
    AT(s3_bucket),
    AT(s3_endpoint),
    AT(s3_region),
    AT(s3_key),
    AT(s3_key_secret),
    AT(s3_token),
    AT(s3_key_file),
    AT(s3_key_secret_file),
    AT(s3_token_file),
    AT(s3_credentials_file),
    AT(s3_profile),
    AT(storage_host),
    AT(storage_ca_file),
    AT(storage_ca_path),
    AT(cipher_pass),
    AT(cipher_pass_file),
    AT(cipher_key_file),
    AT(exposed_file),
};

static char **text_at(struct repo_config *r, size_t at)
{
    return (char **)(void *)((char *)r + at);
}

static void set_defaults(struct repo_config *r, const char *name, const struct node *at)
{
    *r = (struct repo_config){
        .name = xstrdup(name),
        .s3_region = xstrdup("us-east-1"),
        .storage_port = 443,
        .storage_verify_tls = true,
        .key_cache = true,
        .expire_auto = true,
        .expire_grace_ms = -1,
        .resume_window_s = 3 * 86400,
        .compress_level = CONFIG_UNSET,
        .pack_size = 32 << 20,
        .lease_ttl_s = 900,
        .lease_heartbeat_s = 60,
        .restore_pin_s = 86400,
        .place = place_of(at),
    };
}

/* The place of a key that was given, or of the whole block. */
static const struct node *at_key(const struct node *map, const char *key)
{
    const struct node *n = node_get(map, key);

    return n != NULL ? n : map;
}

/* Pigsty replaces exactly this and nothing else (roles/pgsql/templates/pgbackrest.conf). */
static const char variable[] = "${pg_cluster}";

/* In a path any other "${" is a mistake; in a password it is not. */
static int check_variables(const char *text, const struct node *at, struct err *err)
{
    for (const char *p = text; p != NULL && (p = strstr(p, "${")) != NULL; p++)
        if (strncmp(p, variable, sizeof variable - 1) != 0)
            return fail_here(at, err, "the only variable that can be used is \"%s\"", variable);
    return 0;
}

/* "http://" is there for tests and for those who insist; every command warns about it. */
static size_t scheme_length(const char *endpoint)
{
    if (strncmp(endpoint, "https://", 8) == 0)
        return 8;
    return strncmp(endpoint, "http://", 7) == 0 ? 7 : 0;
}

static int check_store(const struct repo_config *r, const struct node *map, struct err *err)
{
    bool s3 = r->type == CONFIG_REPO_S3;

    for (const struct node_entry *e = map->first; e != NULL; e = e->next)
        if (!s3 && strncmp(e->key->text, "s3_", 3) == 0)
            return fail_here(e->key, err, "\"%.64s\" in repository \"%s\" needs \"type: s3\"",
                             e->key->text, r->name);
    if (!s3 && r->path == NULL)
        return fail_here(map, err, "repository \"%s\" has no \"path\"", r->name);
    if (s3 && r->s3_bucket == NULL)
        return fail_here(map, err, "repository \"%s\" has no \"s3_bucket\"", r->name);
    if (s3 && r->s3_endpoint == NULL)
        return fail_here(map, err, "repository \"%s\" has no \"s3_endpoint\"", r->name);
    if (s3 && strpbrk(r->s3_bucket, "/ ") != NULL)
        return fail_here(at_key(map, "s3_bucket"), err,
                         "\"s3_bucket\" must be a bucket's name; a prefix goes into \"path\"");
    if (s3 && strpbrk(r->s3_endpoint + scheme_length(r->s3_endpoint), "/ ?#@") != NULL)
        return fail_here(at_key(map, "s3_endpoint"), err,
                         "\"s3_endpoint\" must be a host name, without a path");
    if (s3 && r->s3_profile != NULL && r->s3_credentials_file == NULL)
        return fail_here(at_key(map, "s3_profile"), err,
                         "\"s3_profile\" needs \"s3_credentials_file\"");
    TRY(check_variables(r->path, at_key(map, "path"), err));
    return check_variables(r->s3_bucket, at_key(map, "s3_bucket"), err);
}

/* A value and the file that holds it exclude each other. */
static int one_of(const struct repo_config *r, const struct node *map, const char *a, const char *b,
                  struct err *err)
{
    if (node_get(map, a) == NULL || node_get(map, b) == NULL)
        return 0;
    return fail_here(node_get(map, b), err,
                     "repository \"%s\" has both \"%s\" and \"%s\": keep one", r->name, a, b);
}

static int check_secrets(const struct repo_config *r, const struct node *map, struct err *err)
{
    static const char *const ways[] = {"cipher_pass", "cipher_pass_file", "cipher_key_file"};

    TRY(one_of(r, map, "s3_key", "s3_key_file", err));
    TRY(one_of(r, map, "s3_key_secret", "s3_key_secret_file", err));
    TRY(one_of(r, map, "s3_token", "s3_token_file", err));
    TRY(one_of(r, map, "s3_key", "s3_credentials_file", err));
    TRY(one_of(r, map, "s3_key_file", "s3_credentials_file", err));
    TRY(one_of(r, map, "cipher_pass", "cipher_pass_file", err));
    TRY(one_of(r, map, "cipher_pass", "cipher_key_file", err));
    TRY(one_of(r, map, "cipher_pass_file", "cipher_key_file", err));
    for (size_t i = 0; i < LENGTH(ways); i++) /* or backups would silently stay in clear */
        if (r->cipher_type == CONFIG_CIPHER_NONE && node_get(map, ways[i]) != NULL)
            return fail_here(node_get(map, ways[i]), err,
                             "\"%s\" in repository \"%s\" needs \"cipher_type: aes-256-cbc\"",
                             ways[i], r->name);
    return 0;
}

static int check_numbers(const struct repo_config *r, const struct node *map, struct err *err)
{
    if (r->compress_level == 0)
        return fail_here(at_key(map, "compress_level"), err,
                         "\"compress_level\" must be 1 to 22, or -1 to -50 for more speed");
    if (r->lease_ttl_s <= 2 * r->lease_heartbeat_s)
        return fail_here(at_key(map, "lease_ttl"), err,
                         "\"lease_ttl\" (%u s) must be more than twice \"lease_heartbeat\" (%u s)",
                         r->lease_ttl_s, r->lease_heartbeat_s);
    return 0;
}

static int repo_read(struct config *c, const struct node_entry *e, struct err *err)
{
    struct repo_config *r;
    char where[96];

    TRY(want_name(e->key, "the name of a repository", err));
    c->repos = array_grow(c->repos, c->n_repos, sizeof *c->repos);
    r = &c->repos[c->n_repos++];
    set_defaults(r, e->key->text, e->key);
    snprintf(where, sizeof where, "repository \"%s\"", r->name);
    TRY(fields_read(c, e->value, where, repo_fields, LENGTH(repo_fields), r, err));
    TRY(check_store(r, e->value, err));
    TRY(check_secrets(r, e->value, err));
    if (r->path == NULL)
        r->path = xstrdup("/");
    return check_numbers(r, e->value, err);
}

int repos_read(struct config *c, const struct node *map, struct err *err)
{
    TRY(want_map(map, "the list of repositories", err));
    for (const struct node_entry *e = map->first; e != NULL; e = e->next)
        TRY(repo_read(c, e, err));
    return 0;
}

const struct repo_config *repo_find(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->n_repos; i++)
        if (strcmp(c->repos[i].name, name) == 0)
            return &c->repos[i];
    return NULL;
}

int repo_reference(const struct config *c, const struct node *n, const struct repo_config **out,
                   struct err *err)
{
    struct suggestion s;
    char shown[80], hint[112];

    TRY(want_text(n, "the name of a repository", err));
    *out = repo_find(c, n->text);
    if (*out != NULL)
        return 0;
    s = suggest_for(n->text);
    for (size_t i = 0; i < c->n_repos; i++)
        suggest_offer(&s, c->repos[i].name);
    return fail_here(n, err, "there is no repository \"%s\"%s", units_printable(n->text, shown),
                     suggest_text(&s, hint));
}

static char *replace_cluster(const char *text, const char *cluster)
{
    AUTO(buf_free) struct buf out = BUF_INIT;

    buf_reserve(&out, strlen(text) + CONFIG_NAME_MAX); /* a secret is not left behind by growing */
    for (const char *p; (p = strstr(text, variable)) != NULL; text = p + sizeof variable - 1) {
        buf_add(&out, text, (size_t)(p - text));
        buf_adds(&out, cluster);
    }
    buf_adds(&out, text);
    return buf_steal(&out);
}

void repo_copy(struct repo_config *out, const struct repo_config *from, const char *cluster)
{
    struct repo_config r = *from;

    for (size_t i = 0; i < LENGTH(texts); i++) {
        char **text = text_at(&r, texts[i]);
        if (*text != NULL)
            *text = replace_cluster(*text, cluster);
    }
    *out = r;
}

void repo_config_free(struct repo_config *r)
{
    for (size_t i = 0; i < LENGTH(texts); i++)
        secret_free(text_at(r, texts[i]));
    *r = (struct repo_config){0};
}

int config_compress_level(const struct repo_config *r, const struct cluster_config *cluster)
{
    return r->compress_level != CONFIG_UNSET ? r->compress_level : cluster->compress_level;
}
