/* s3_xml.c - see s3_xml.h. */
#include "repo/store/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "repo/store/s3_lib.h"

enum { DEPTH_MAX = 8, NAME_SIZE = 48, TEXT_MAX = 8 << 10 };

struct parse {
    const struct s3_lib *lib;
    XML_Parser parser;
    struct s3_reply *reply;
    const char *refused; /* why parsing was stopped */
    unsigned depth;
    char names[DEPTH_MAX][NAME_SIZE]; /* of the open elements, without a namespace's prefix */
    struct buf text;
    size_t cap_items, cap_refusals;
};

void s3_reply_free(struct s3_reply *r)
{
    for (size_t i = 0; i < r->n_items; i++)
        free(r->items[i].key);
    for (size_t i = 0; i < r->n_refusals; i++)
        free(r->refusals[i].key);
    free(r->items);
    free(r->refusals);
    free(r->next);
    *r = (struct s3_reply){0};
}

static void refuse(struct parse *p, const char *why)
{
    if (p->refused == NULL)
        p->refused = why;
    p->lib->XML_StopParser(p->parser, XML_FALSE);
}

/* ---- values ---- */

static bool digits(const char **p, unsigned n, int *out)
{
    *out = 0;
    for (; n > 0; n--, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        *out = *out * 10 + (**p - '0');
    }
    return true;
}

static bool skip(const char **p, char c)
{
    return *(*p)++ == c;
}

bool s3_time_parse(const char *text, int64_t *us)
{
    struct tm tm = {0};
    const char *p = text;

    if (!digits(&p, 4, &tm.tm_year) || !skip(&p, '-') || !digits(&p, 2, &tm.tm_mon) ||
        !skip(&p, '-') || !digits(&p, 2, &tm.tm_mday) || !skip(&p, 'T') ||
        !digits(&p, 2, &tm.tm_hour) || !skip(&p, ':') || !digits(&p, 2, &tm.tm_min) ||
        !skip(&p, ':') || !digits(&p, 2, &tm.tm_sec))
        return false;
    if (*p == '.')
        p += 1 + strspn(p + 1, "0123456789");
    if (strcmp(p, "Z") != 0 && *p != '\0')
        return false;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    *us = (int64_t)timegm(&tm) * 1000000;
    return true;
}

static bool number(const char *text, uint64_t *out)
{
    char *end;

    if (*text < '0' || *text > '9' || strlen(text) > 19)
        return false;
    *out = strtoull(text, &end, 10);
    return *end == '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return -1;
}

/* In place. What is not an encoded byte stays as it is; an encoded NUL does as well, so that it
 * cannot cut a key short. */
static void percent_decode(char *text)
{
    char *to = text;

    for (const char *p = text; *p != '\0'; p++) {
        int high = *p == '%' ? hex_digit(p[1]) : -1, low = high >= 0 ? hex_digit(p[2]) : -1;

        if (low >= 0 && high * 16 + low != 0) {
            *to++ = (char)(high * 16 + low);
            p += 2;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
}

static void copy_text(char *dst, size_t size, struct buf *text)
{
    snprintf(dst, size, "%s", buf_text(text));
}

/* ---- elements ---- */

static void *grown(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    *cap = MAX_OF((size_t)64, *cap * 2);
    return xrealloc(array, *cap * size);
}

static void begin_item(struct parse *p, bool is_prefix)
{
    struct s3_reply *r = p->reply;

    if (r->n_items == S3_XML_ITEMS_MAX) {
        refuse(p, "more keys than a page can hold");
        return;
    }
    r->items = grown(r->items, r->n_items, &p->cap_items, sizeof *r->items);
    r->items[r->n_items++] = (struct s3_item){.is_prefix = is_prefix};
}

static void begin_refusal(struct parse *p)
{
    struct s3_reply *r = p->reply;

    if (r->n_refusals == S3_XML_ITEMS_MAX) {
        refuse(p, "more errors than keys can be deleted at once");
        return;
    }
    r->refusals = grown(r->refusals, r->n_refusals, &p->cap_refusals, sizeof *r->refusals);
    r->refusals[r->n_refusals++] = (struct s3_refusal){0};
}

static bool named(const struct parse *p, unsigned depth, const char *name)
{
    return strcmp(p->names[depth], name) == 0;
}

static void begin_root(struct parse *p)
{
    static const struct {
        const char *name;
        enum s3_root root;
    } roots[] = {{"Error", S3_ROOT_ERROR},
                 {"ListBucketResult", S3_ROOT_LIST},
                 {"DeleteResult", S3_ROOT_DELETED}};

    for (size_t i = 0; i < LENGTH(roots); i++)
        if (named(p, 0, roots[i].name))
            p->reply->root = roots[i].root;
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct parse *p = ctx;
    const char *colon = strrchr(name, ':');

    (void)attributes;
    if (p->depth == DEPTH_MAX) {
        refuse(p, "nested too deeply");
        return;
    }
    snprintf(p->names[p->depth++], NAME_SIZE, "%s", colon != NULL ? colon + 1 : name);
    buf_clear(&p->text);
    if (p->depth == 1)
        begin_root(p);
    else if (p->depth == 2 && p->reply->root == S3_ROOT_LIST && named(p, 1, "Contents"))
        begin_item(p, false);
    else if (p->depth == 2 && p->reply->root == S3_ROOT_LIST && named(p, 1, "CommonPrefixes"))
        begin_item(p, true);
    else if (p->depth == 2 && p->reply->root == S3_ROOT_DELETED && named(p, 1, "Error"))
        begin_refusal(p);
}

static void XMLCALL on_text(void *ctx, const XML_Char *text, int len)
{
    struct parse *p = ctx;

    if (p->text.len + (size_t)len > TEXT_MAX)
        refuse(p, "a text that is too long");
    else
        buf_add(&p->text, text, (size_t)len);
}

static void end_in_error(struct parse *p, const char *name)
{
    struct s3_reply *r = p->reply;

    if (strcmp(name, "Code") == 0)
        copy_text(r->code, sizeof r->code, &p->text);
    else if (strcmp(name, "Message") == 0)
        copy_text(r->message, sizeof r->message, &p->text);
    else if (strcmp(name, "Region") == 0)
        copy_text(r->region, sizeof r->region, &p->text);
    else if (strcmp(name, "Endpoint") == 0)
        copy_text(r->endpoint, sizeof r->endpoint, &p->text);
}

static void end_in_list(struct parse *p, const char *name)
{
    struct s3_reply *r = p->reply;

    if (strcmp(name, "IsTruncated") == 0) {
        r->truncated = strcmp(buf_text(&p->text), "true") == 0;
    } else if (strcmp(name, "EncodingType") == 0) {
        r->encoded = strcmp(buf_text(&p->text), "url") == 0;
    } else if (strcmp(name, "NextContinuationToken") == 0) {
        free(r->next);
        r->next = xstrdup(buf_text(&p->text));
    }
}

static void end_in_item(struct parse *p, const char *name)
{
    struct s3_item *i = &p->reply->items[p->reply->n_items - 1];

    if (strcmp(name, i->is_prefix ? "Prefix" : "Key") == 0) {
        free(i->key);
        i->key = xstrdup(buf_text(&p->text));
    } else if (strcmp(name, "Size") == 0) {
        if (!number(buf_text(&p->text), &i->size))
            refuse(p, "a size that is no number");
    } else if (strcmp(name, "LastModified") == 0) {
        if (!s3_time_parse(buf_text(&p->text), &i->modified_us))
            refuse(p, "a time that is none");
    }
}

static void end_in_refusal(struct parse *p, const char *name)
{
    struct s3_refusal *f = &p->reply->refusals[p->reply->n_refusals - 1];

    if (strcmp(name, "Key") == 0) {
        free(f->key);
        f->key = xstrdup(buf_text(&p->text));
    } else if (strcmp(name, "Code") == 0) {
        copy_text(f->code, sizeof f->code, &p->text);
    } else if (strcmp(name, "Message") == 0) {
        copy_text(f->message, sizeof f->message, &p->text);
    }
}

static void XMLCALL on_end(void *ctx, const XML_Char *ignored)
{
    struct parse *p = ctx;
    const char *name = p->names[p->depth - 1];
    enum s3_root root = p->reply->root;

    (void)ignored;
    if (p->depth == 2 && root == S3_ROOT_ERROR)
        end_in_error(p, name);
    else if (p->depth == 2 && root == S3_ROOT_LIST)
        end_in_list(p, name);
    else if (p->depth == 3 && root == S3_ROOT_LIST && p->reply->n_items != 0 &&
             (named(p, 1, "Contents") || named(p, 1, "CommonPrefixes")))
        end_in_item(p, name);
    else if (p->depth == 3 && root == S3_ROOT_DELETED && p->reply->n_refusals != 0 &&
             named(p, 1, "Error"))
        end_in_refusal(p, name);
    p->depth--;
    buf_clear(&p->text);
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int internal)
{
    (void)name;
    (void)system;
    (void)public;
    (void)internal;
    refuse(ctx, "it has a document type");
}

/* ---- the whole ---- */

static int check_items(struct s3_reply *r, struct err *err)
{
    for (size_t i = 0; i < r->n_items; i++) {
        if (r->items[i].key == NULL)
            return err_set(err, ERR_CORRUPT, "an entry of the listing has no key");
        if (r->encoded)
            percent_decode(r->items[i].key);
    }
    if (r->truncated && (r->next == NULL || r->next[0] == '\0'))
        return err_set(err, ERR_CORRUPT, "the listing goes on, but does not say where");
    return 0;
}

static int run(struct parse *p, const void *data, size_t len, struct err *err)
{
    enum XML_Status status = p->lib->XML_Parse(p->parser, data, (int)len, 1);

    if (p->refused != NULL)
        return err_set(err, ERR_CORRUPT, "the store's answer is refused: %s", p->refused);
    if (status != XML_STATUS_OK)
        return err_set(err, ERR_CORRUPT, "the store's answer is not XML: %s",
                       p->lib->XML_ErrorString(p->lib->XML_GetErrorCode(p->parser)));
    return check_items(p->reply, err);
}

int s3_xml_parse(const void *data, size_t len, struct s3_reply *out, struct err *err)
{
    AUTO(s3_reply_free) struct s3_reply reply = {0};
    struct parse p = {.reply = &reply};
    int result;

    if (len > S3_XML_MAX)
        return err_set(err, ERR_CORRUPT, "the store's answer has %zu bytes, expected at most %d",
                       len, S3_XML_MAX);
    TRY(s3_lib_load(&p.lib, err));
    p.parser = p.lib->XML_ParserCreate(NULL);
    if (p.parser == NULL)
        return err_set(err, ERR_FAILED, "expat cannot make a parser");
    p.lib->XML_SetUserData(p.parser, &p);
    p.lib->XML_SetElementHandler(p.parser, on_start, on_end);
    p.lib->XML_SetCharacterDataHandler(p.parser, on_text);
    p.lib->XML_SetStartDoctypeDeclHandler(p.parser, on_doctype);
    result = run(&p, data, len, err);
    p.lib->XML_ParserFree(p.parser);
    buf_free(&p.text);
    if (result != 0)
        return -1;
    *out = reply;
    reply = (struct s3_reply){0};
    return 0;
}
