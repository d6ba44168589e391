/* key_sheet.c - the recovery sheet: all that a stranger needs who holds the repository and a
 * secret. See keys.h. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/version.h"
#include "cli/keys.h"
#include "repo/object/key_text.h"

/* ---- what there is ---- */

static void add_head(struct buf *out)
{
    char host[256] = "?", when[40];

    gethostname(host, sizeof host - 1);
    buf_addf(out,
             "PGBR RECOVERY SHEET\n\n"
             "Written %s by pgbr " PGBR_VERSION " on host %s. Keep it where neither that\n"
             "host nor the repository is, and write a new one when anything on it changes.\n",
             clock_format_utc(clock_now_us() / 1000000 * 1000000, when), host);
}

static const struct cluster_config *configured(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->n_clusters; i++)
        if (strcmp(c->clusters[i].name, name) == 0)
            return &c->clusters[i];
    return NULL;
}

/* A cluster that the configuration does not know, or cannot open, has its name told at least. */
static void add_identities(const struct app *app, const struct keyed_repo *k, const char *name,
                           struct buf *out)
{
    const struct cluster_config *cluster = configured(app->config, name);
    AUTO(repo_close) struct repo *other = NULL;
    const struct identity *ids;
    struct err ignored = {0};
    size_t n = 0;

    buf_addf(out, "%s", name);
    if (cluster == NULL || config_open_repo(app->config, cluster, k->conf.name, REPO_OPEN_NO_KEY,
                                            &other, &ignored) != 0) {
        buf_adds(out, "\n");
        return;
    }
    ids = repo_identities(other, &n);
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%s PostgreSQL %u, system identifier %" PRIu64, i == 0 ? ":" : ",",
                 ids[i].major, ids[i].system_id);
    buf_adds(out, "\n");
}

static int add_repository(const struct app *app, const struct keyed_repo *k, struct buf *out,
                          struct err *err)
{
    struct store *store = repo_store(k->repo);
    char **names;
    size_t n;

    TRY(repo_clusters(store, &names, &n, err));
    buf_addf(out, "\nTHE REPOSITORY\n\n  name      %s\n  place     %s\n  id        ",
             repo_name(k->repo), store_where(store));
    buf_hex(out, repo_id(k->repo), REPO_ID_SIZE);
    buf_addf(out, "\n  format    pgbr 1, %s\n",
             repo_encrypted(k->repo) ? "encrypted: AES-256-CBC with HMAC-SHA-256"
                                     : "not encrypted: whoever can read the files needs no secret");
    for (size_t i = 0; i < n; i++) {
        buf_adds(out, i == 0 ? "  clusters  " : "            ");
        add_identities(app, k, names[i], out);
    }
    repo_names_free(&names, n);
    return 0;
}

/* ---- what opens it ---- */

static const char *secret_file(const struct keyed_repo *k)
{
    return k->conf.cipher_key_file != NULL ? k->conf.cipher_key_file : k->conf.cipher_pass_file;
}

static void add_slot(const struct keyed_repo *k, const struct key_slot *s, struct buf *out)
{
    char when[40];

    if (s->state == KEY_SLOT_DAMAGED) {
        buf_addf(out, "  slot %08x  is damaged\n", s->number);
        return;
    }
    buf_addf(out, "  slot %08x  %s", s->number, slot_opener(&s->facts));
    if (s->facts.created_us != 0)
        buf_addf(out, ", since %s",
                 clock_format_utc(s->facts.created_us / 1000000 * 1000000, when));
    if (s->state == KEY_SLOT_OPENS)
        buf_addf(out, ": the one of this configuration%s%s", secret_file(k) != NULL ? ", in " : "",
                 secret_file(k) != NULL ? secret_file(k) : "");
    buf_adds(out, "\n");
}

static void add_slots(const struct keyed_repo *k, bool with_key, struct buf *out)
{
    if (!repo_encrypted(k->repo))
        return;
    buf_adds(out, "\nWHAT OPENS IT: ANY ONE OF THESE\n\n");
    for (size_t i = 0; i < k->slots.n; i++)
        add_slot(k, &k->slots.items[i], out);
    if (with_key)
        buf_adds(out, "  this sheet     the key itself, at the end\n");
    buf_addf(out, "\n  %s\n  Without any of these nobody can read anything in it.\n",
             with_key ? "Whoever has this sheet and the repository can read everything, for ever."
                      : "The secrets themselves are not on this sheet. Where are they?\n\n"
                        "  ____________________________________________________________\n");
}

/* ---- how to restore ---- */

static void add_setting(struct buf *out, const char *key, const char *value)
{
    if (value == NULL)
        return;
    buf_addf(out, "           %s: \"", key);
    json_escape(out, value, strlen(value));
    buf_adds(out, "\"\n");
}

static void add_s3(const struct repo_config *r, struct buf *out)
{
    buf_adds(out, "           type: s3\n");
    add_setting(out, "s3_bucket", r->s3_bucket);
    add_setting(out, "s3_endpoint", r->s3_endpoint);
    add_setting(out, "s3_region", r->s3_region);
    buf_addf(out, "           s3_uri_style: %s\n",
             r->s3_uri_style == CONFIG_URI_PATH ? "path" : "host");
    add_setting(out, "storage_host", r->storage_host);
    buf_addf(out, "           storage_port: %u\n", r->storage_port);
    add_setting(out, "storage_ca_file", r->storage_ca_file);
    add_setting(out, "s3_key_file", "/etc/pgbr/s3_key");
    add_setting(out, "s3_key_secret_file", "/etc/pgbr/s3_key_secret");
}

static const char *secret_place(const struct keyed_repo *k)
{
    return k->conf.cipher_key_file != NULL ? "/etc/pgbr/key" : "/etc/pgbr/passphrase";
}

static void add_cluster_setting(const struct keyed_repo *k, struct buf *out)
{
    AUTO(mem_free) char *usual = NULL;
    const char *data = k->cluster->data;
    const struct identity *ids;
    size_t n;

    ids = repo_identities(k->repo, &n);
    if (data == NULL)
        data = usual =
            xasprintf("/var/lib/postgresql/%u/%s", n != 0 ? ids[n - 1].major : 0, k->cluster->name);
    buf_addf(out, "       repo: %s\n       clusters:\n         %s:\n", k->conf.name,
             k->cluster->name);
    add_setting(out, "data", data);
    buf_addf(out, "           repos: [%s]\n", k->conf.name);
}

static void add_configuration(const struct keyed_repo *k, struct buf *out)
{
    buf_addf(out,
             "  2. Write /etc/pgbr/pgbr.yml, with the place where the repository is now:\n\n"
             "       state_dir: /var/lib/pgbr\n       repos:\n         %s:\n",
             k->conf.name);
    if (k->conf.type == CONFIG_REPO_S3)
        add_s3(&k->conf, out);
    add_setting(out, "path", k->conf.path);
    if (repo_encrypted(k->repo)) {
        buf_adds(out, "           cipher_type: aes-256-cbc\n");
        add_setting(out, k->conf.cipher_key_file != NULL ? "cipher_key_file" : "cipher_pass_file",
                    secret_place(k));
    }
    add_cluster_setting(k, out);
}

static void add_secret_steps(const struct keyed_repo *k, bool with_key, struct buf *out)
{
    if (!repo_encrypted(k->repo))
        return;
    buf_addf(out,
             "\n  3. Put the secret into %s, readable by that user only.\n"
             "     A passphrase goes with cipher_pass_file, a key file with cipher_key_file.\n",
             secret_place(k));
    if (with_key)
        buf_addf(
            out,
            "     If no secret is left: choose a new passphrase, write it there, copy the four\n"
            "     lines at the end of this sheet into a file, and give the repository a slot\n"
            "     for it (it must be writable for that):\n\n"
            "       pgbr key add %s --from-sheet FILE\n",
            k->cluster->name);
}

static void add_steps(const struct keyed_repo *k, bool with_key, struct buf *out)
{
    const char *name = k->cluster->name;

    buf_addf(out,
             "\nTO RESTORE ON ANOTHER HOST, HERE CLUSTER %s\n\n"
             "  1. Install pgbr, and PostgreSQL of the version named above. All that follows is\n"
             "     done as the user that PostgreSQL runs as; /var/lib/pgbr is to be his.\n",
             name);
    add_configuration(k, out);
    add_secret_steps(k, with_key, out);
    buf_addf(out,
             "\n  %d. Look what is there, and what a restore would do; then do it:\n\n"
             "       pgbr list %s\n"
             "       pgbr restore %s --plan\n"
             "       pgbr restore %s\n\n"
             "     To a moment: --target-time '2026-11-22 14:05'. More: \"man pgbr\".\n"
             "  %d. Start PostgreSQL as the restore says.\n",
             repo_encrypted(k->repo) ? 4 : 3, name, name, name, repo_encrypted(k->repo) ? 5 : 4);
}

int key_sheet(const struct app *app, const struct keyed_repo *k, const struct repo_key *key,
              struct buf *out, struct err *err)
{
    add_head(out);
    TRY(add_repository(app, k, out, err));
    add_slots(k, key != NULL, out);
    add_steps(k, key != NULL, out);
    if (key == NULL)
        return 0;
    buf_adds(out, "\nTHE KEY\n\n");
    key_text_format(key, out);
    return 0;
}
