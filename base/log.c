/* log.c - see log.h. */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
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
#include "base/utf8.h"

enum { NAME_SHOWN = 128 }; /* bytes of a cluster's or instance's name */

static const char *const LEVELS[] = {"error", "warning", "info", "debug"};
static const char *const FORMATS[] = {"text", "json"};

static struct {
    atomic_int format, level;
    atomic_uint counts[LENGTH(LEVELS)];
    pthread_mutex_t lock; /* of the strings */
    char *cluster, *instance;
    const char *command;
    char host[65];
} self = {.format = LOG_TEXT, .level = LOG_INFO, .lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct {
    const char *cluster, *instance;
} here;

void log_setup(enum log_format format, enum log_level level)
{
    pthread_mutex_lock(&self.lock);
    if (self.host[0] == '\0' && gethostname(self.host, sizeof self.host - 1) != 0)
        self.host[0] = '\0';
    pthread_mutex_unlock(&self.lock);
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

void log_identity_here(const char *cluster, const char *instance)
{
    here.cluster = cluster;
    here.instance = instance;
}

void log_command(const char *name)
{
    pthread_mutex_lock(&self.lock);
    self.command = name;
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

/* ---- a line ---- */

static void add_printable(struct buf *line, const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text;

    for (size_t i = 0, n; i < len; i += MAX_OF(n, (size_t)1)) {
        n = utf8_length(p + i, len - i);
        if (n == 0)
            buf_adds(line, "\xef\xbf\xbd"); /* U+FFFD */
        else if (utf8_is_control(p + i, n))
            buf_addc(line, ' ');
        else
            buf_add(line, p + i, n);
    }
}

/* As much of the message as there is room for. Most fit; what is cut is cut between characters. */
static void add_message(struct buf *line, const char *message, size_t room,
                        void (*add)(struct buf *, const char *, size_t))
{
    size_t whole = strlen(message), len = MIN_OF(whole, room), start = line->len;

    for (;;) {
        add(line, message, len);
        if (len < whole)
            buf_adds(line, "...");
        if (line->len - start <= room)
            return;
        len -= MIN_OF(len, MAX_OF((line->len - start - room) / 6, (size_t)3));
        while (len != 0 && ((uint8_t)message[len] & 0xc0) == 0x80)
            len--;
        line->len = start;
    }
}

/* Those of the thread, where it has its own. Both under the lock. */
static const char *cluster_now(void)
{
    return here.cluster != NULL || here.instance != NULL ? here.cluster : self.cluster;
}

static const char *instance_now(void)
{
    return here.cluster != NULL || here.instance != NULL ? here.instance : self.instance;
}

static void add_text(struct buf *line, const char *time, enum log_level level, const char *message)
{
    const char *cluster, *instance;

    buf_adds(line, time);
    line->p[10] = ' '; /* 2026-11-22T14:05:33.120Z */
    buf_addf(line, " [%d] ", (int)getpid());
    for (const char *c = LEVELS[level]; *c != '\0'; c++)
        buf_addc(line, (char)(*c - 'a' + 'A'));
    buf_addc(line, ' ');
    pthread_mutex_lock(&self.lock);
    cluster = cluster_now();
    instance = instance_now();
    if (cluster != NULL)
        add_printable(line, cluster, strnlen(cluster, NAME_SHOWN));
    if (cluster != NULL && instance != NULL)
        buf_addc(line, '/');
    if (instance != NULL)
        add_printable(line, instance, strnlen(instance, NAME_SHOWN));
    if (cluster != NULL || instance != NULL)
        buf_addc(line, ' ');
    pthread_mutex_unlock(&self.lock);
    add_message(line, message, LOG_LINE_MAX - 1 - line->len, add_printable);
}

static void add_name(struct json *j, const char *key, const char *name)
{
    AUTO(mem_free) char *text = name != NULL ? xstrndup(name, strnlen(name, NAME_SHOWN)) : NULL;

    if (text != NULL)
        json_text(j, key, text);
}

static void add_json(struct buf *line, const char *time, enum log_level level, const char *message)
{
    static const char end[] = "\"}";
    struct json j;

    json_begin(&j, line, false);
    json_open(&j, NULL, '{');
    json_text(&j, "time", time);
    json_text(&j, "level", LEVELS[level]);
    json_int(&j, "pid", getpid());
    pthread_mutex_lock(&self.lock);
    add_name(&j, "host", self.host[0] != '\0' ? self.host : NULL);
    add_name(&j, "command", self.command);
    add_name(&j, "cluster", cluster_now());
    add_name(&j, "instance", instance_now());
    pthread_mutex_unlock(&self.lock);
    buf_adds(line, ",\"message\":\""); /* by hand: its length is bounded, escaped */
    add_message(line, message, LOG_LINE_MAX - strlen(end) - 1 - line->len, json_escape);
    buf_adds(line, end);
}

/* All of it or, where nobody reads for a second, nothing: a pipe takes a line of this length whole,
 * also when somebody made it non-blocking. What cannot be written has nowhere else to be said. */
static void write_line(const char *p, size_t len)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    bool waited = false;

    while (len != 0) {
        ssize_t n = write(STDERR_FILENO, p, len);

        if (n < 0 && errno == EAGAIN && !waited) {
            poll(&room, 1, 1000);
            waited = true;
        } else if (n < 0 && errno != EINTR) {
            return;
        } else if (n > 0) {
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
