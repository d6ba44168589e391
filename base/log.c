/* log.c - see log.h. */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

static const char *const LEVELS[] = {"error", "warning", "info", "debug"};
static const char *const FORMATS[] = {"text", "json"};

static struct {
    atomic_int format, level;
    atomic_uint counts[LENGTH(LEVELS)];
    pthread_mutex_t lock; /* of the strings */
    char *cluster, *instance;
} self = {.format = LOG_TEXT, .level = LOG_INFO, .lock = PTHREAD_MUTEX_INITIALIZER};

void log_setup(enum log_format format, enum log_level level)
{
    self.format = (int)format;
    self.level = (int)level;
}

void log_identity(const char *cluster, const char *instance)
{
    pthread_mutex_lock(&self.lock);
    free(self.cluster);
    free(self.instance);
    self.cluster = xstrdup(cluster);
    self.instance = xstrdup(instance);
    pthread_mutex_unlock(&self.lock);
}

bool log_wants(enum log_level level)
{
    return (int)level <= self.level;
}

unsigned log_count(enum log_level level)
{
    return self.counts[level];
}

/* An event is one line: what would break it, or confuse a terminal, becomes a space. */
static void add_printable(struct buf *line, const char *text)
{
    size_t at = line->len;

    buf_adds(line, text);
    for (; at < line->len; at++)
        if ((uint8_t)line->p[at] < ' ' || line->p[at] == 0x7f)
            line->p[at] = ' ';
}

static void add_text(struct buf *line, const char *time, enum log_level level, const char *message)
{
    buf_adds(line, time);
    line->p[10] = ' '; /* 2026-11-22T14:05:33.120Z */
    buf_addf(line, " [%d] ", (int)getpid());
    for (const char *c = LEVELS[level]; *c != '\0'; c++)
        buf_addc(line, (char)(*c - 'a' + 'A'));
    buf_addc(line, ' ');
    pthread_mutex_lock(&self.lock);
    if (self.cluster != NULL)
        add_printable(line, self.cluster);
    if (self.cluster != NULL && self.instance != NULL)
        buf_addc(line, '/');
    if (self.instance != NULL)
        add_printable(line, self.instance);
    if (self.cluster != NULL || self.instance != NULL)
        buf_addc(line, ' ');
    pthread_mutex_unlock(&self.lock);
    add_printable(line, message);
}

static void add_json(struct buf *line, const char *time, enum log_level level, const char *message)
{
    struct json j;

    json_begin(&j, line, false);
    json_open(&j, NULL, '{');
    json_text(&j, "time", time);
    json_text(&j, "level", LEVELS[level]);
    json_int(&j, "pid", getpid());
    pthread_mutex_lock(&self.lock);
    if (self.cluster != NULL)
        json_text(&j, "cluster", self.cluster);
    if (self.instance != NULL)
        json_text(&j, "instance", self.instance);
    pthread_mutex_unlock(&self.lock);
    json_text(&j, "message", message);
    json_close(&j, '}');
}

/* A pipe may take only a part; what cannot be written at all has nowhere else to be said. */
static void write_line(const char *p, size_t len)
{
    while (len != 0) {
        ssize_t n = write(STDERR_FILENO, p, len);
        if (n < 0 && errno != EINTR)
            return;
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

/* Millisecond form of the ISO time. */
static void stamp(char out[40])
{
    char *dot;

    clock_format_iso(clock_now_us(), out);
    dot = strchr(out, '.');
    if (dot != NULL)
        memcpy(dot + 4, "Z", sizeof "Z");
}

PRINTF_LIKE(2, 0)
static void emit(enum log_level level, const char *fmt, va_list args)
{
    AUTO(buf_free) struct buf line = BUF_INIT;
    AUTO(mem_free) char *message = NULL;
    char time[40];
    int saved = errno;

    atomic_fetch_add(&self.counts[level], 1);
    if (log_wants(level) && vasprintf(&message, fmt, args) >= 0) {
        stamp(time);
        (self.format == LOG_JSON ? add_json : add_text)(&line, time, level, message);
        buf_addc(&line, '\n');
        write_line(line.p, line.len);
    }
    errno = saved;
}

#define FORWARD(level)          \
    do {                        \
        va_list args;           \
        va_start(args, fmt);    \
        emit(level, fmt, args); \
        va_end(args);           \
    } while (0)

void log_error(const char *fmt, ...)
{
    FORWARD(LOG_ERROR);
}

void log_warning(const char *fmt, ...)
{
    FORWARD(LOG_WARNING);
}

void log_info(const char *fmt, ...)
{
    FORWARD(LOG_INFO);
}

void log_debug(const char *fmt, ...)
{
    FORWARD(LOG_DEBUG);
}

static int find(const char *text, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0)
            return (int)i;
    return -1;
}

int log_level_parse(const char *text, enum log_level *level)
{
    int i = find(text, LEVELS, LENGTH(LEVELS));

    if (i >= 0)
        *level = (enum log_level)i;
    return i < 0 ? -1 : 0;
}

int log_format_parse(const char *text, enum log_format *format)
{
    int i = find(text, FORMATS, LENGTH(FORMATS));

    if (i >= 0)
        *format = (enum log_format)i;
    return i < 0 ? -1 : 0;
}
