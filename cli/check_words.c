/*
 * check_words.c - what an archive_command does, as far as its words tell.
 *
 * The shell's quoting is understood, its expansions are not: a command that needs them is taken by
 * its letters. Wrappers ("nice -n 5 pgbr ...") are looked through.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/check.h"

enum { WORDS_LIMIT = 64 };

struct split {
    char *words[WORDS_LIMIT];
    size_t n;
};

static void split_free(struct split *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->words[i]);
    s->n = 0;
}

/* One word in the shell's sense, appended to *out; returns what follows it. */
static const char *read_word(const char *p, struct buf *out)
{
    char quote = '\0';

    for (; *p != '\0'; p++) {
        if (quote == '\0' && strchr(" \t\n;&|<>()", *p) != NULL)
            break;
        if (*p == quote) {
            quote = '\0';
        } else if (quote == '\0' && (*p == '\'' || *p == '"')) {
            quote = *p;
        } else {
            if (*p == '\\' && quote != '\'' && p[1] != '\0')
                p++;
            buf_addc(out, *p);
        }
    }
    return p;
}

/* "> file", ">>file", ">&1" */
static const char *skip_redirection(const char *p)
{
    AUTO(buf_free) struct buf ignored = BUF_INIT;

    p += strspn(p, "<>&");
    p += strspn(p, " \t");
    return read_word(p, &ignored);
}

/* The words of the simple command that contains "archive-push", or of the last one. */
static void split_command(const char *p, struct split *s)
{
    bool push = false;

    while (*p != '\0' && s->n < WORDS_LIMIT) {
        AUTO(buf_free) struct buf word = BUF_INIT;

        if (strchr(";&|()", *p) != NULL) {
            if (push)
                return;
            split_free(s);
            p++;
            continue;
        }
        if (strchr("<>", *p) != NULL) {
            p = skip_redirection(p);
            continue;
        }
        if (strchr(" \t\n", *p) != NULL) {
            p++;
            continue;
        }
        p = read_word(p, &word);
        if (strchr("<>", *p) != NULL && strspn(buf_text(&word), "0123456789") == word.len)
            continue; /* "2>" */
        push |= strcmp(buf_text(&word), "archive-push") == 0;
        s->words[s->n++] = xstrdup(buf_text(&word));
    }
}

static void set(char **to, const char *value)
{
    free(*to);
    *to = xstrdup(value);
}

/* An option that takes the configuration; *i moves on to its value where that is a word of its own.
 */
static bool read_config(const struct split *s, size_t *i, struct archive_words *out)
{
    const char *w = s->words[*i];

    if (strcmp(w, "-c") == 0 || strcmp(w, "--config") == 0) {
        if (*i + 1 < s->n)
            set(&out->config, s->words[++*i]);
        return true;
    }
    if (strncmp(w, "--config=", 9) == 0)
        set(&out->config, w + 9);
    else if (strncmp(w, "-c", 2) == 0)
        set(&out->config, w + 2);
    else
        return false;
    return true;
}

void archive_words_read(const char *command, struct archive_words *out)
{
    AUTO(split_free) struct split s = {.n = 0};
    const char *behind[2] = {NULL, NULL};
    size_t n = 0;

    *out = (struct archive_words){0};
    split_command(command, &s);
    for (size_t i = 0; i < s.n; i++) {
        const char *w = s.words[i];

        if (read_config(&s, &i, out) || w[0] == '-')
            continue;
        if (!out->push && strcmp(w, "archive-push") == 0)
            out->push = true;
        else if (!out->push)
            set(&out->program, w);
        else if (n < LENGTH(behind))
            behind[n++] = w;
    }
    if (n == 2)
        out->cluster = xstrdup(behind[0]);
    out->path = n != 0 && strstr(behind[n - 1], "%p") != NULL;
}

void archive_words_free(struct archive_words *w)
{
    free(w->program);
    free(w->config);
    free(w->cluster);
    *w = (struct archive_words){0};
}
