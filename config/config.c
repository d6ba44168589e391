/* config.c - a configuration from its file, and the questions asked of it. See config.h. */
#include "config/config.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "config/fields.h"
#include "config/parts.h"
#include "config/suggest.h"
#include "config/units.h"

void config_free(struct config **c)
{
    struct config *old = *c;

    if (old == NULL)
        return;
    for (size_t i = 0; i < old->n_repos; i++)
        repo_config_free(&old->repos[i]);
    for (size_t i = 0; i < old->n_clusters; i++)
        cluster_config_free(&old->clusters[i]);
    for (size_t i = 0; i < old->n_jobs; i++)
        job_config_free(&old->jobs[i]);
    notify_config_free(&old->notify);
    for (size_t i = 0; i < old->n_notes; i++)
        free(old->notes[i].text);
    free(old->repos);
    free(old->clusters);
    free(old->jobs);
    free(old->notes);
    free(old->path);
    free(old->state_dir);
    free(old->user);
    free(old->http.address);
    free(old->default_repo);
    free(old);
    *c = NULL;
}

/* Tries every address of this host as the name of a member. */
static bool be_an_address(struct cluster_config *cluster, const struct ifaddrs *addresses)
{
    char text[NI_MAXHOST];

    for (const struct ifaddrs *a = addresses; a != NULL; a = a->ifa_next) {
        socklen_t len = sizeof(struct sockaddr_in);

        if (a->ifa_addr == NULL ||
            (a->ifa_addr->sa_family != AF_INET && a->ifa_addr->sa_family != AF_INET6))
            continue;
        if (a->ifa_addr->sa_family == AF_INET6)
            len = sizeof(struct sockaddr_in6);
        if (getnameinfo(a->ifa_addr, len, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0 &&
            cluster_config_be(cluster, text))
            return true;
    }
    return false;
}

static void free_addresses(struct ifaddrs **a)
{
    if (*a != NULL)
        freeifaddrs(*a);
}

/* Only inventories need to know who we are; the others spare themselves the question. */
static void find_ourselves(struct config *c)
{
    AUTO(free_addresses) struct ifaddrs *addresses = NULL;
    char host[256] = "";

    for (size_t i = 0; i < c->n_clusters; i++) {
        struct cluster_config *cluster = &c->clusters[i];

        if (cluster->n_members == 0 || cluster->instance != NULL)
            continue;
        if (host[0] == '\0' && gethostname(host, sizeof host - 1) != 0)
            host[0] = '\0';
        if (cluster_config_be(cluster, host))
            continue;
        if (addresses == NULL && getifaddrs(&addresses) != 0)
            addresses = NULL;
        be_an_address(cluster, addresses);
    }
}

static void wipe_text(struct buf *b)
{
    if (b->p != NULL)
        mem_wipe(b->p, b->cap);
    buf_free(b);
}

int config_load(const char *path, struct config **out, struct err *err)
{
    AUTO(wipe_text) struct buf text = BUF_INIT;
    struct stat st;

    if (stat(path, &st) != 0)
        return err_sys(err, "configuration \"%s\"", path);
    buf_reserve(&text, st.st_size > 0 && st.st_size < CONFIG_FILE_MAX ? (size_t)st.st_size : 4096);
    if (fs_read_file(AT_FDCWD, path, CONFIG_FILE_MAX, &text, err) != 0)
        return err_context(err, "configuration");
    TRY(config_parse(text.p, text.len, path, out, err));
    if ((*out)->has_secret && (st.st_mode & S_IROTH) != 0)
        note_add(*out, true, "\"%s\" holds a secret and everybody may read it: chmod o-rwx", path);
    find_ourselves(*out);
    return 0;
}

int config_cluster(const struct config *c, const char *name, const struct cluster_config **out,
                   struct err *err)
{
    AUTO(buf_free) struct buf known = BUF_INIT;
    struct suggestion s = suggest_for(name != NULL ? name : "");
    char shown[80], hint[112];

    if (c->n_clusters == 0)
        return err_set(err, ERR_CONFIG, "\"%s\" has no cluster (key \"clusters\")", c->path);
    for (size_t i = 0; i < c->n_clusters; i++) {
        *out = &c->clusters[i];
        if (name == NULL ? c->n_clusters == 1 : strcmp((*out)->name, name) == 0)
            return 0;
        suggest_offer(&s, (*out)->name);
        if (i < 10)
            buf_addf(&known, "%s\"%s\"", i == 0 ? "" : ", ", (*out)->name);
    }
    *out = NULL;
    if (name == NULL)
        return err_set(err, ERR_USAGE, "which cluster? the configuration has %s%s",
                       buf_text(&known), c->n_clusters > 10 ? " and more" : "");
    return err_set(err, ERR_USAGE, "there is no cluster \"%s\"%s; the configuration has %s%s",
                   units_printable(name, shown), suggest_text(&s, hint), buf_text(&known),
                   c->n_clusters > 10 ? " and more" : "");
}

int config_repo(const struct config *c, const struct cluster_config *cluster, const char *name,
                struct repo_config *out, struct err *err)
{
    AUTO(buf_free) struct buf known = BUF_INIT;
    struct suggestion s;
    char shown[80], hint[112];

    if (name == NULL)
        name = cluster->default_repo;
    s = suggest_for(name);
    for (size_t i = 0; i < cluster->n_repos; i++) {
        if (strcmp(cluster->repos[i], name) == 0) {
            repo_copy(out, repo_find(c, name), cluster->name);
            return 0;
        }
        suggest_offer(&s, cluster->repos[i]);
        buf_addf(&known, "%s\"%s\"", i == 0 ? "" : ", ", cluster->repos[i]);
    }
    return err_set(err, ERR_USAGE, "cluster \"%s\" has no repository \"%s\"%s; it has %s",
                   cluster->name, units_printable(name, shown), suggest_text(&s, hint),
                   buf_text(&known));
}
