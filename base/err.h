/*
 * err.h - an error is a value: a code for the program's decisions and a message for people.
 *
 * A function that can fail returns 0 or -1 and takes a struct err last. It sets the error exactly
 * once, where the failure is found; each layer that knows more puts its context in front. An error
 * is either returned or logged, never both. Messages: lower case, names in double quotes, no full
 * stop, what was found and what was expected.
 */
#ifndef PGBR_BASE_ERR_H
#define PGBR_BASE_ERR_H

#include "base/auto.h"

enum err_code {
    ERR_NONE = 0,
    ERR_FAILED,      /* nothing a caller could act on */
    ERR_USAGE,       /* wrong command line: exit status 2 */
    ERR_CONFIG,      /* wrong configuration: exit status 2 */
    ERR_NOT_FOUND,   /* the store, file or server answered that it is not there */
    ERR_EXISTS,      /* create-only found something of that name */
    ERR_CONFLICT,    /* same name, different content: never overwritten */
    ERR_CORRUPT,     /* bytes are not what was written; never retried */
    ERR_KEY,         /* wrong or missing key or passphrase */
    ERR_FOREIGN,     /* belongs to another cluster, repository or system identifier */
    ERR_UNSUPPORTED, /* made by a version or with a feature this program does not know */
    ERR_BUSY,        /* somebody else holds it: try again */
    ERR_UNREACHABLE, /* no answer: try again */
    ERR_DENIED,      /* permission */
    ERR_NO_SPACE,    /* disk full or quota */
    ERR_IO,          /* any other failure of the operating system */
    ERR_INTERRUPTED, /* asked to stop (SIGINT, SIGTERM) */
};

struct err {
    enum err_code code;
    char msg[1536]; /* cut, never overrun; always terminated once code is set */
};

/* Sets the error (replacing any earlier one) and returns -1. Whatever the arguments hold - files,
 * servers and networks speak in them - the message is one line that can be shown: utf8_clean(). */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same from errno: adds ": strerror(errno)" and chooses the code (ENOENT: ERR_NOT_FOUND,
 * EEXIST: ERR_EXISTS, EACCES/EPERM/EROFS: ERR_DENIED, ENOSPC/EDQUOT: ERR_NO_SPACE, others ERR_IO).
 */
int err_sys(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Puts "fmt: " in front of the message, keeps the code, returns -1. */
int err_context(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Forgets an error that was handled. */
void err_clear(struct err *e);

/* "not found", "conflict", ... for JSON logs. */
const char *err_code_name(enum err_code code);

#endif
