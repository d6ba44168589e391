/* secret.c - where the secrets of a repository come from: environment, value, file. */
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "config/aws_file.h"
#include "config/fields.h"

enum { SECRET_MAX = 64 << 10 };

struct secret {
    const char *key; /* as in the file: "cipher_pass" */
    char **value;
    const char *file;
    bool required;
};

static void upper(struct buf *b, const char *text)
{
    for (; *text != '\0'; text++)
        buf_addc(b, *text == '-' ? '_' : (char)toupper((unsigned char)*text));
}

/* PGBR_REPO_<NAME>_<KEY>, or PGBR_<KEY> without a repository. */
static void variable_name(struct buf *b, const char *repo, const char *key)
{
    buf_clear(b);
    buf_adds(b, "PGBR_");
    if (repo != NULL) {
        buf_adds(b, "REPO_");
        upper(b, repo);
        buf_addc(b, '_');
    }
    upper(b, key);
}

/* Sets *value from the variable; false: it is not set, or empty. */
static bool from_environment(const char *repo, const struct secret *s)
{
    AUTO(buf_free) struct buf name = BUF_INIT;
    const char *text;

    variable_name(&name, repo, s->key);
    text = getenv(buf_text(&name));
    if (text == NULL || text[0] == '\0')
        return false;
    secret_free(s->value);
    *s->value = xstrdup(text);
    return true;
}

/* Remembers a file that everybody may read: check warns about it. */
static void look_at_mode(struct repo_config *r, const char *file)
{
    struct stat st;

    if (r->exposed_file == NULL && stat(file, &st) == 0 && (st.st_mode & S_IROTH) != 0)
        r->exposed_file = xstrdup(file);
}

static void wipe_buf(struct buf *b)
{
    if (b->p != NULL)
        mem_wipe(b->p, b->cap);
    buf_free(b);
}

int config_read_secret(const char *path, char **out, struct err *err)
{
    AUTO(wipe_buf) struct buf text = BUF_INIT;

    buf_reserve(&text, SECRET_MAX); /* never moved while it grows */
    TRY(fs_read_file(AT_FDCWD, path, SECRET_MAX, &text, err));
    if (text.len != 0 && text.p[text.len - 1] == '\n')
        text.len--;
    if (text.len != 0 && text.p[text.len - 1] == '\r')
        text.len--;
    if (text.len == 0)
        return err_set(err, ERR_KEY, "\"%s\" is empty", path);
    if (memchr(text.p, '\0', text.len) != NULL)
        return err_set(err, ERR_KEY,
                       "\"%s\" is not text (a binary key goes into \"cipher_key_file\")", path);
    *out = xstrndup(text.p, text.len);
    return 0;
}

static int from_file(struct repo_config *r, const struct secret *s, struct err *err)
{
    if (config_read_secret(s->file, s->value, err) != 0)
        return err_context(err, "\"%s_file\" of repository \"%s\"", s->key, r->name);
    look_at_mode(r, s->file);
    return 0;
}

static int missing(const struct repo_config *r, const struct secret *s, struct err *err)
{
    AUTO(buf_free) struct buf own = BUF_INIT;
    AUTO(buf_free) struct buf common = BUF_INIT;

    variable_name(&own, r->name, s->key);
    variable_name(&common, NULL, s->key);
    return err_set(
        err, ERR_KEY,
        "repository \"%s\" has no \"%s\": set it or \"%s_file\" in the configuration, or "
        "%s or %s in the environment",
        r->name, s->key, s->key, buf_text(&own), buf_text(&common));
}

static int find(struct repo_config *r, const struct secret *s, struct err *err)
{
    if (from_environment(r->name, s) || *s->value != NULL)
        return 0;
    if (s->file != NULL)
        return from_file(r, s, err);
    if (from_environment(NULL, s) || !s->required)
        return 0;
    return missing(r, s, err);
}

int repo_config_cipher(struct repo_config *r, struct err *err)
{
    struct secret pass = {"cipher_pass", &r->cipher_pass, r->cipher_pass_file, true};

    if (r->cipher_type == CONFIG_CIPHER_NONE)
        return 0;
    if (r->cipher_key_file == NULL)
        return find(r, &pass, err);
    if (from_environment(r->name, &pass))
        mem_free(&r->cipher_key_file); /* one secret is to be used, not two */
    else
        look_at_mode(r, r->cipher_key_file);
    return 0;
}

static int from_credentials_file(struct repo_config *r, struct err *err)
{
    AUTO(wipe_buf) struct buf text = BUF_INIT;
    struct aws_keys keys;

    buf_reserve(&text, SECRET_MAX);
    if (fs_read_file(AT_FDCWD, r->s3_credentials_file, SECRET_MAX, &text, err) != 0 ||
        aws_file_parse(text.p, text.len, r->s3_profile != NULL ? r->s3_profile : "default", &keys,
                       err) != 0)
        return err_context(err, "\"s3_credentials_file\" of repository \"%s\": \"%s\"", r->name,
                           r->s3_credentials_file);
    look_at_mode(r, r->s3_credentials_file);
    secret_free(&r->s3_token);
    r->s3_key = keys.key;
    r->s3_key_secret = keys.secret;
    r->s3_token = keys.token;
    return 0;
}

/* What belongs together comes from one place: a token of somebody's shell does not fit the keys of
 * a file. */
static bool from_aws_environment(struct repo_config *r)
{
    const char *key = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
    const char *token = getenv("AWS_SESSION_TOKEN");

    if (key == NULL || key[0] == '\0' || secret == NULL || secret[0] == '\0')
        return false;
    secret_free(&r->s3_token);
    r->s3_key = xstrdup(key);
    r->s3_key_secret = xstrdup(secret);
    r->s3_token = token != NULL && token[0] != '\0' ? xstrdup(token) : NULL;
    return true;
}

int repo_config_s3_keys(struct repo_config *r, struct err *err)
{
    const struct secret wanted[] = {
        {"s3_key", &r->s3_key, r->s3_key_file, true},
        {"s3_key_secret", &r->s3_key_secret, r->s3_key_secret_file, true},
        {"s3_token", &r->s3_token, r->s3_token_file, false},
    };

    for (size_t i = 0; i < LENGTH(wanted); i++) {
        struct secret s = wanted[i];
        s.required = false;
        TRY(find(r, &s, err));
    }
    if (r->s3_key == NULL && r->s3_key_secret == NULL) {
        if (r->s3_credentials_file != NULL)
            return from_credentials_file(r, err);
        if (from_aws_environment(r))
            return 0;
    }
    for (size_t i = 0; i < LENGTH(wanted); i++)
        if (wanted[i].required && *wanted[i].value == NULL)
            return missing(r, &wanted[i], err);
    return 0;
}

int repo_config_secrets(struct repo_config *r, struct err *err)
{
    TRY(repo_config_cipher(r, err));
    return r->type == CONFIG_REPO_S3 ? repo_config_s3_keys(r, err) : 0;
}
