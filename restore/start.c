/*
 * start.c - the command that starts a restored data directory.
 *
 * A cluster whose configuration lies in its data directory needs nothing special. Debian's lies in
 * /etc: where the data directory is the original one, and that configuration is still there, it is
 * used; a copy elsewhere is started with the files kept in CONFIG_DIR, and never with /etc's, which
 * name the original's data directory, port and pid file.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "restore/job.h"

/* A word of a shell command: quoted only where it must be. */
static void add_word(struct buf *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./-+=:,@";

    if (word[0] != '\0' && strspn(word, plain) == strlen(word)) {
        buf_adds(out, word);
        return;
    }
    buf_addc(out, '\'');
    for (const char *p = word; *p != '\0'; p++)
        if (*p == '\'')
            buf_adds(out, "'\\''");
        else
            buf_addc(out, *p);
    buf_addc(out, '\'');
}

static void add_pg_ctl(struct buf *out, unsigned major)
{
    static const char *const places[] = {"/usr/lib/postgresql/%u/bin/pg_ctl",
                                         "/usr/pgsql-%u/bin/pg_ctl"};

    for (size_t i = 0; i < LENGTH(places); i++) {
        AUTO(buf_free) struct buf path = BUF_INIT;
        for (const char *p = places[i]; *p != '\0'; p++)
            if (p[0] == '%' && p[1] == 'u')
                buf_addf(&path, "%u", major), p++;
            else
                buf_addc(&path, *p);
        if (access(buf_text(&path), X_OK) == 0) {
            buf_adds(out, buf_text(&path));
            return;
        }
    }
    buf_adds(out, "pg_ctl");
}

/* Where a file of the original is now: in the data directory, in CONFIG_DIR, or where it was. */
static char *place_now(const struct layout *l, const char *path)
{
    const char *data = l->roots[ROOT_DATA].dir, *original = l->original_dir;
    size_t len = original == NULL ? 0 : strlen(original);

    if (path[0] != '/')
        return xasprintf("%s/%s", data, path);
    if (len != 0 && strncmp(path, original, len) == 0 && path[len] == '/')
        return xasprintf("%s%s", data, path + len);
    if (!l->side_copy && access(path, R_OK) == 0)
        return xstrdup(path);
    return l->has_config ? xasprintf("%s%s", l->roots[ROOT_CONFIG].dir, path) : xstrdup(path);
}

static bool is_inside(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && path[len] == '/';
}

char *start_conf(const struct layout *l, const struct backup_info *info)
{
    const char *conf = backup_info_get(info, "config_file");

    return conf == NULL ? xasprintf("%s/postgresql.conf", l->roots[ROOT_DATA].dir)
                        : place_now(l, conf);
}

/* "/etc/postgresql/15/main/postgresql.conf" is Debian's cluster "15 main". */
static bool add_debian(struct buf *out, const char *conf)
{
    static const char etc[] = "/etc/postgresql/";
    const char *version = conf + sizeof etc - 1, *name, *end;

    if (strncmp(conf, etc, sizeof etc - 1) != 0 || access("/usr/bin/pg_ctlcluster", X_OK) != 0 ||
        (name = strchr(version, '/')) == NULL || (end = strchr(name + 1, '/')) == NULL ||
        strcmp(end, "/postgresql.conf") != 0)
        return false;
    buf_addf(out, "pg_ctlcluster %.*s %.*s start", (int)(name - version), version,
             (int)(end - name - 1), name + 1);
    return true;
}

static void add_setting(struct buf *options, const char *name, const char *value)
{
    buf_addf(options, "%s-c %s=", options->len == 0 ? "" : " ", name);
    add_word(options, value);
}

static void add_file_setting(struct buf *options, const struct layout *l,
                             const struct backup_info *info, const char *name)
{
    const char *path = backup_info_get(info, name);

    if (path != NULL && path[0] != '\0') {
        AUTO(mem_free) char *now = place_now(l, path);
        add_setting(options, name, now);
    }
}

void start_command(const struct layout *l, const struct pubinfo *pub,
                   const struct backup_info *info, bool tell_all, struct buf *out)
{
    AUTO(mem_free) char *conf = start_conf(l, info);
    AUTO(mem_free) char *usual = xasprintf("%s/postgresql.conf", l->roots[ROOT_DATA].dir);
    AUTO(buf_free) struct buf options = BUF_INIT;
    const char *data = l->roots[ROOT_DATA].dir;
    bool from_copy = is_inside(conf, l->roots[ROOT_CONFIG].dir);

    if (!from_copy && add_debian(out, conf))
        return;
    add_pg_ctl(out, pub->pg_version / 10000);
    buf_adds(out, " -D ");
    add_word(out, data);
    if (tell_all || strcmp(conf, usual) != 0) {
        add_setting(&options, "config_file", conf);
        add_setting(&options, "data_directory", data);
        add_file_setting(&options, l, info, "hba_file");
        add_file_setting(&options, l, info, "ident_file");
        if (from_copy)
            buf_adds(&options, " -c external_pid_file=");
        buf_adds(out, " -o ");
        add_word(out, buf_text(&options));
    }
    buf_adds(out, " start");
}

void start_command_kept(const char *bin, const char *data, const char *conf, const char *sockets,
                        struct buf *out)
{
    AUTO(mem_free) char *pg_ctl = xasprintf("%s/pg_ctl", bin);
    AUTO(buf_free) struct buf options = BUF_INIT;

    add_setting(&options, "config_file", conf);
    add_setting(&options, "unix_socket_directories", sockets);
    add_word(out, pg_ctl);
    buf_adds(out, " -D ");
    add_word(out, data);
    buf_adds(out, " -o ");
    add_word(out, buf_text(&options));
    buf_adds(out, " start");
}
