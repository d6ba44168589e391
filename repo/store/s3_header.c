/* s3_header.c - the header lines of an answer: hostile text until read. See s3_http.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "repo/store/s3_http.h"

void http_answer_free(struct http_answer *a)
{
    buf_free(&a->text);
    *a = (struct http_answer){0};
}

static bool is_header(const char *line, const char *name)
{
    size_t len = strlen(name);
    return strncasecmp(line, name, len) == 0 && line[len] == ':';
}

static void header_text(char *dst, size_t size, const char *value)
{
    size_t n = 0;

    for (; *value > ' ' && *value < 127 && n + 1 < size; value++)
        dst[n++] = *value;
    dst[n] = '\0';
}

static bool read_number(const char **p, uint64_t *out)
{
    char *end;

    if (**p < '0' || **p > '9' || strspn(*p, "0123456789") > 19)
        return false;
    *out = strtoull(*p, &end, 10);
    *p = end;
    return true;
}

/* "bytes 0-99/1234", or with a 416 "bytes" and an asterisk for the range. */
static void content_range(struct http_answer *a, const char *value)
{
    uint64_t first = 0, last, size;

    if (strncasecmp(value, "bytes", 5) != 0)
        return;
    value += 5 + strspn(value + 5, " ");
    if (*value == '*')
        value++;
    else if (!read_number(&value, &first) || *value++ != '-' || !read_number(&value, &last))
        return;
    if (*value++ != '/' || !read_number(&value, &size))
        return;
    a->first = first;
    a->size = size;
    a->has_size = true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT". The program never sets a locale, so months are English. */
static int64_t http_date(const char *value)
{
    struct tm tm = {0};

    if (strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
        return 0;
    return (int64_t)timegm(&tm) * 1000000;
}

/* A new status line begins the answer anew: what came before was "100 Continue". */
static void status_line(struct http_answer *a, const char *line)
{
    const char *space = strchr(line, ' ');

    *a = (struct http_answer){.text = a->text};
    a->status = space != NULL ? strtol(space, NULL, 10) : 0;
}

void http_header(struct http_answer *a, const char *line, size_t len)
{
    char text[512], *value;

    snprintf(text, sizeof text, "%.*s", (int)MIN_OF(len, sizeof text - 1), line);
    text[strcspn(text, "\r\n")] = '\0';
    if (strncmp(text, "HTTP/", 5) == 0) {
        status_line(a, text);
        return;
    }
    value = strchr(text, ':');
    if (value == NULL)
        return;
    value += 1 + strspn(value + 1, " \t");
    if (is_header(text, "content-range")) {
        content_range(a, value);
    } else if (is_header(text, "content-length") && a->status == 200) {
        const char *p = value;
        a->has_size = read_number(&p, &a->size);
    } else if (is_header(text, "date")) {
        a->date_us = http_date(value);
    } else if (is_header(text, "last-modified")) {
        a->modified_us = http_date(value);
    } else if (is_header(text, "x-amz-bucket-region")) {
        header_text(a->region, sizeof a->region, value);
    } else if (is_header(text, "x-amz-request-id")) {
        header_text(a->request_id, sizeof a->request_id, value);
    }
}
