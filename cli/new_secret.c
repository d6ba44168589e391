/* new_secret.c - see new_secret.h. */
#include "cli/new_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/crypt.h"
#include "base/fs.h"
#include "base/mem.h"
#include "config/config.h"

enum { TYPED_MAX = 1024, KEY_FILE_BYTES = 32 };

void new_secret_free(struct new_secret *n)
{
    secret_free(&n->text);
    mem_free(&n->from);
    n->secret = (struct key_secret){0};
}

/* ---- a key file ---- */

static int write_key_file(int fd, const char *path, struct err *err)
{
    uint8_t content[KEY_FILE_BYTES];
    int result;

    TRY(crypt_random(content, sizeof content, err));
    result = fs_write_all(fd, content, sizeof content, path, err);
    mem_wipe(content, sizeof content);
    TRY(result);
    return fsync(fd) == 0 ? 0 : err_sys(err, "cannot sync key file \"%s\"", path);
}

static int generate_key_file(const char *path, struct err *err)
{
    AUTO(fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    AUTO(mem_free) char *copy = xstrdup(path);

    if (fd < 0 && errno == EEXIST)
        return err_set(err, ERR_EXISTS,
                       "\"%s\" is there already: give another name, or use it with --key-file",
                       path);
    if (fd < 0)
        return err_sys(err, "cannot make key file \"%s\"", path);
    if (write_key_file(fd, path, err) == 0 && fs_sync_dir(AT_FDCWD, dirname(copy), err) == 0)
        return 0;
    unlink(path);
    return -1;
}

/* ---- a terminal ---- */

static void on_signal(int number)
{
    (void)number; /* only interrupts read(): the terminal must be set right first */
}

/* One line, without its end. A longer one is ERR_KEY. */
static int read_line(int tty, char text[TYPED_MAX], struct err *err)
{
    ssize_t n = read(tty, text, TYPED_MAX);

    if (n < 0 && errno == EINTR)
        return err_set(err, ERR_INTERRUPTED, "interrupted");
    if (n < 0)
        return err_sys(err, "cannot read from the terminal");
    if (n == 0 || text[n - 1] != '\n')
        return err_set(err, ERR_KEY, "no whole line was typed, or one of more than %d bytes",
                       TYPED_MAX - 1);
    text[n - 1] = '\0';
    return 0;
}

/* *out is untouched on failure. */
static int ask(int tty, const char *prompt, char text[TYPED_MAX], struct err *err)
{
    const struct sigaction interrupt = {.sa_handler = on_signal}; /* without SA_RESTART */
    struct sigaction old_int, old_term;
    struct termios before, silent;
    int result;

    if (tcgetattr(tty, &before) != 0)
        return err_sys(err, "cannot ask on the terminal");
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    silent.c_lflag |= ICANON;
    sigaction(SIGINT, &interrupt, &old_int);
    sigaction(SIGTERM, &interrupt, &old_term);
    if (tcsetattr(tty, TCSAFLUSH, &silent) != 0)
        result = err_sys(err, "cannot switch the terminal's echo off");
    else if (fs_write_all(tty, prompt, strlen(prompt), "the terminal", err) != 0)
        result = -1;
    else
        result = read_line(tty, text, err);
    tcsetattr(tty, TCSAFLUSH, &before);
    (void)!write(tty, "\n", 1);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    return result;
}

static int ask_twice(int tty, char first[TYPED_MAX], char again[TYPED_MAX], char **out,
                     struct err *err)
{
    TRY(ask(tty, "new passphrase: ", first, err));
    if (first[0] == '\0')
        return err_set(err, ERR_KEY, "the passphrase is empty");
    TRY(ask(tty, "once more: ", again, err));
    if (strcmp(first, again) != 0)
        return err_set(err, ERR_KEY, "the two passphrases differ");
    *out = xstrdup(first);
    return 0;
}

static int from_terminal(char **out, struct err *err)
{
    AUTO(fd_close) int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    char first[TYPED_MAX] = "", again[TYPED_MAX] = "";
    int result;

    if (tty < 0)
        return err_set(err, ERR_USAGE,
                       "where is the new secret? Give --pass-file, --key-file or --generate, set "
                       "%s, or call it on a terminal",
                       NEW_PASS_VARIABLE);
    result = ask_twice(tty, first, again, out, err);
    mem_wipe(first, sizeof first);
    mem_wipe(again, sizeof again);
    return result;
}

/* ---- all ways ---- */

static const char *from_environment(void)
{
    const char *text = getenv(NEW_PASS_VARIABLE);

    return text != NULL && text[0] != '\0' ? text : NULL;
}

bool new_secret_is_told(const struct new_secret *n)
{
    return n->pass_file != NULL || n->key_file != NULL || n->generate != NULL ||
           from_environment() != NULL;
}

static int get_key_file(struct new_secret *n, struct err *err)
{
    if (n->generate != NULL)
        TRY(generate_key_file(n->generate, err));
    n->secret.key_file = n->generate != NULL ? n->generate : n->key_file;
    n->from = xasprintf("key file \"%s\"", n->secret.key_file);
    return 0;
}

int new_secret_get(struct new_secret *n, struct err *err)
{
    if (n->generate != NULL || n->key_file != NULL)
        return get_key_file(n, err);
    if (n->pass_file != NULL) {
        TRY(config_read_secret(n->pass_file, &n->text, err));
        n->from = xasprintf("the passphrase in \"%s\"", n->pass_file);
    } else if (from_environment() != NULL) {
        n->text = xstrdup(from_environment());
        n->from = xstrdup("the passphrase in " NEW_PASS_VARIABLE);
    } else {
        TRY(from_terminal(&n->text, err));
        n->from = xstrdup("the passphrase typed");
    }
    n->secret.passphrase = n->text;
    return 0;
}
