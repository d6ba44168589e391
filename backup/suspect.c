/* suspect.c - see suspect.h. */
#include "backup/suspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/page.h"

enum { READINGS = 5, PAUSE_MS = 250, ERRORS_LISTED = 10000, ERRORS_LOGGED = 50 };

static struct suspect_file *file_of(struct suspects *s, const char *path, uint32_t first_block)
{
    struct suspect_file *f = s->n != 0 ? &s->files[s->n - 1] : NULL;

    if (f != NULL && strcmp(f->path, path) == 0)
        return f;
    if (s->n == s->cap) {
        s->cap = s->cap * 2 + 16;
        s->files = xrealloc(s->files, s->cap * sizeof *s->files);
    }
    f = &s->files[s->n++];
    *f = (struct suspect_file){.path = xstrdup(path), .first_block = first_block};
    return f;
}

void suspects_note(struct suspects *s, const char *path, uint32_t first_block, uint32_t block,
                   const void *page)
{
    struct suspect_file *f;

    if (s->pages >= SUSPECTS_MAX) {
        s->unnoted++;
        return;
    }
    f = file_of(s, path, first_block);
    if (f->n == f->cap) {
        f->cap = f->cap * 2 + 16;
        f->pages = xrealloc(f->pages, f->cap * sizeof *f->pages);
    }
    f->pages[f->n++] = (struct suspect_page){block, hash64(page, PG_PAGE_SIZE)};
    s->pages++;
}

void suspects_free(struct suspects *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->files[i].path);
        free(s->files[i].pages);
    }
    free(s->files);
    *s = (struct suspects){0};
}

/* Reads the pages once more and keeps those that are still the same and still bad. */
static int read_again(struct suspect_file *f, int data_fd, uint64_t start_lsn, uint64_t insert_lsn,
                      struct err *err)
{
    AUTO(fd_close) int fd = openat(data_fd, f->path, O_RDONLY | O_CLOEXEC);
    uint8_t page[PG_PAGE_SIZE];
    size_t kept = 0, got;

    if (fd < 0 && errno == ENOENT) {
        f->n = 0; /* dropped: replay drops it too */
        return 0;
    }
    if (fd < 0)
        return err_sys(err, "cannot open \"%s\" again", f->path);
    for (size_t i = 0; i < f->n; i++) {
        uint32_t block = f->pages[i].block;

        TRY(fs_pread_all(fd, page, sizeof page, (uint64_t)block * PG_PAGE_SIZE, &got, f->path,
                         err));
        if (got < sizeof page || hash64(page, sizeof page) != f->pages[i].hash ||
            page_check(page, f->first_block + block, start_lsn, insert_lsn) < PAGE_BAD)
            continue;
        f->pages[kept++] = f->pages[i];
    }
    f->n = kept;
    return 0;
}

static int read_all_again(struct suspects *all, size_t n, int data_fd,
                          const struct page_rules *rules, uint64_t *left, struct err *err)
{
    uint64_t insert_lsn;

    *left = 0;
    TRY(rules->insert_lsn(rules->ctx, &insert_lsn, err));
    for (size_t w = 0; w < n; w++) {
        for (size_t i = 0; i < all[w].n; i++) {
            TRY(read_again(&all[w].files[i], data_fd, rules->start_lsn, insert_lsn, err));
            *left += all[w].files[i].n;
        }
    }
    return 0;
}

static void report(struct backup_info *info, const char *path, uint32_t block, uint64_t number)
{
    if (number < ERRORS_LOGGED)
        log_warning("page checksum failure in \"%s\", block %u", path, block);
    else if (number == ERRORS_LOGGED)
        log_warning("more page checksum failures follow; \"pgbr list --json\" has them");
    if (info->n_errors == ERRORS_LISTED)
        return;
    info->errors = xrealloc(info->errors, (info->n_errors + 1) * sizeof *info->errors);
    info->errors[info->n_errors++] = (struct page_error){xstrdup(path), block};
}

int suspects_settle(struct suspects *all, size_t n, int data_fd, const struct page_rules *rules,
                    const struct stop *stop, struct backup_info *info, uint64_t *errors,
                    struct err *err)
{
    uint64_t left = 0;

    *errors = 0;
    for (size_t w = 0; w < n; w++)
        left += all[w].n;
    for (int reading = 0; left != 0 && reading < READINGS; reading++) {
        clock_sleep_ms(PAUSE_MS);
        TRY(stop_check(stop, err));
        TRY(read_all_again(all, n, data_fd, rules, &left, err));
    }
    for (size_t w = 0; w < n; w++) {
        for (size_t i = 0; i < all[w].n; i++)
            for (size_t k = 0; k < all[w].files[i].n; k++)
                report(info, all[w].files[i].path, all[w].files[i].pages[k].block, (*errors)++);
        *errors += all[w].unnoted;
    }
    return 0;
}
