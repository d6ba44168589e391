/* err.c - building the message of an error. See err.h. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    char msg[sizeof e->msg]; /* the arguments may point into e->msg */
    va_list args;

    va_start(args, fmt);
    vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    utf8_clean(msg);
    e->code = code;
    memcpy(e->msg, msg, sizeof msg);
    return -1;
}

static enum err_code code_of_errno(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    default:
        return ERR_IO;
    }
}

int err_sys(struct err *e, const char *fmt, ...)
{
    int number = errno;
    char msg[sizeof e->msg], reason[128];
    va_list args;

    va_start(args, fmt);
    vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    return err_set(e, code_of_errno(number), "%s: %s", msg,
                   strerror_r(number, reason, sizeof reason));
}

int err_context(struct err *e, const char *fmt, ...)
{
    char context[sizeof e->msg];
    va_list args;

    va_start(args, fmt);
    vsnprintf(context, sizeof context, fmt, args);
    va_end(args);
    return err_set(e, e->code, "%s: %s", context, e->msg);
}

void err_clear(struct err *e)
{
    e->code = ERR_NONE;
    e->msg[0] = '\0';
}

const char *err_code_name(enum err_code code)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",
        [ERR_FAILED] = "failed",
        [ERR_USAGE] = "usage",
        [ERR_CONFIG] = "configuration",
        [ERR_NOT_FOUND] = "not found",
        [ERR_EXISTS] = "exists",
        [ERR_CONFLICT] = "conflict",
        [ERR_CORRUPT] = "corrupt",
        [ERR_KEY] = "key",
        [ERR_FOREIGN] = "foreign",
        [ERR_UNSUPPORTED] = "unsupported",
        [ERR_BUSY] = "busy",
        [ERR_UNREACHABLE] = "unreachable",
        [ERR_DENIED] = "denied",
        [ERR_NO_SPACE] = "no space",
        [ERR_IO] = "i/o",
        [ERR_INTERRUPTED] = "interrupted",
    };
    return (size_t)code < LENGTH(names) ? names[code] : "unknown";
}
