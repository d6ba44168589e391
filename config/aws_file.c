/* aws_file.c - see aws_file.h. */
#include "config/aws_file.h"

#include <string.h>

#include "base/mem.h"
#include "config/fields.h"

void aws_keys_wipe(struct aws_keys *k)
{
    secret_free(&k->key);
    secret_free(&k->secret);
    secret_free(&k->token);
}

struct span {
    const char *p;
    size_t len;
};

static struct span trimmed(const char *p, size_t len)
{
    while (len != 0 && strchr(" \t\r", *p) != NULL)
        p++, len--;
    while (len != 0 && strchr(" \t\r", p[len - 1]) != NULL)
        len--;
    return (struct span){p, len};
}

static bool is(struct span s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

/* "[default]", "[ profile nightly ]" */
static bool section_is(struct span line, const char *profile)
{
    struct span name = trimmed(line.p + 1, line.len - 1);

    if (name.len == 0 || name.p[name.len - 1] != ']')
        return false;
    name = trimmed(name.p, name.len - 1);
    if (name.len > 8 && memcmp(name.p, "profile ", 8) == 0)
        name = trimmed(name.p + 8, name.len - 8);
    return is(name, profile);
}

static void take(struct span line, struct aws_keys *keys)
{
    const char *equals = memchr(line.p, '=', line.len);
    struct span name, value;
    char **to = NULL;

    if (equals == NULL)
        return;
    name = trimmed(line.p, (size_t)(equals - line.p));
    value = trimmed(equals + 1, line.len - (size_t)(equals + 1 - line.p));
    if (is(name, "aws_access_key_id"))
        to = &keys->key;
    else if (is(name, "aws_secret_access_key"))
        to = &keys->secret;
    else if (is(name, "aws_session_token"))
        to = &keys->token;
    if (to == NULL || value.len == 0 || memchr(value.p, '\0', value.len) != NULL)
        return;
    secret_free(to);
    *to = xstrndup(value.p, value.len);
}

int aws_file_parse(const char *text, size_t len, const char *profile, struct aws_keys *out,
                   struct err *err)
{
    AUTO(aws_keys_wipe) struct aws_keys keys = {0};
    bool inside = false, seen = false;

    while (len != 0) {
        const char *end = memchr(text, '\n', len);
        size_t n = end != NULL ? (size_t)(end - text) : len;
        struct span line = trimmed(text, n);

        if (line.len != 0 && line.p[0] == '[')
            seen |= inside = section_is(line, profile);
        else if (inside && line.len != 0 && line.p[0] != '#' && line.p[0] != ';')
            take(line, &keys);
        n += end != NULL;
        text += n;
        len -= n;
    }
    if (!seen)
        return err_set(err, ERR_KEY, "there is no profile \"%.100s\"", profile);
    if (keys.key == NULL || keys.secret == NULL)
        return err_set(err, ERR_KEY, "profile \"%.100s\" has no %s", profile,
                       keys.key == NULL ? "aws_access_key_id" : "aws_secret_access_key");
    *out = keys;
    keys = (struct aws_keys){0};
    return 0;
}
