/* suspect.c - see suspect.h. */
#include "backup/suspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
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

void suspects_note(struct suspects *s, const char *path, uint32_t first_block, uint32_t block)
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
    f->pages[f->n++] = (struct suspect_page){block, SUSPECT_OPEN};
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

/* These two may change without WAL of their own; the server takes a page of theirs that does not
 * fit for empty. */
static bool is_map(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *fork = strchr(slash != NULL ? slash : path, '_');

    return fork != NULL && (strncmp(fork, "_vm", 3) == 0 || strncmp(fork, "_fsm", 4) == 0);
}

/* Made during the backup: all of it is in the WAL, be it as one record that copies a database whose
 * pages keep the LSNs they had. */
static bool is_newborn(int fd, int64_t start_us)
{
    struct statx st;

    return statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) == 0 &&
           (st.stx_mask & STATX_BTIME) != 0 &&
           st.stx_btime.tv_sec * INT64_C(1000000) + st.stx_btime.tv_nsec / 1000 >= start_us;
}

/* A page that was bad when it was copied, as it lies there now. */
static void judge(const struct suspect_file *f, struct suspect_page *p, const void *page, int fd,
                  uint64_t insert_lsn, const struct page_rules *rules)
{
    enum page_verdict now =
        page_check(page, f->first_block + p->block, rules->start_lsn, insert_lsn);

    if (now >= PAGE_BAD)
        return; /* or being written just now: the next reading tells */
    p->state = now == PAGE_OK && !is_map(f->path) && !is_newborn(fd, rules->start_us)
                   ? SUSPECT_MISREAD
                   : SUSPECT_CLEARED;
}

/* Reads once more the pages that are still under suspicion. */
static int read_again(struct suspect_file *f, int data_fd, uint64_t insert_lsn,
                      const struct page_rules *rules, struct err *err)
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
        struct suspect_page p = f->pages[i];

        TRY(fs_pread_all(fd, page, sizeof page, (uint64_t)p.block * PG_PAGE_SIZE, &got, f->path,
                         err));
        if (got < sizeof page)
            continue; /* truncated: replay truncates it too */
        if (p.state == SUSPECT_OPEN)
            judge(f, &p, page, fd, insert_lsn, rules);
        if (p.state != SUSPECT_CLEARED)
            f->pages[kept++] = p;
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
            TRY(read_again(&all[w].files[i], data_fd, insert_lsn, rules, err));
            *left += all[w].files[i].n;
        }
    }
    return 0;
}

static void report(struct backup_info *info, const char *path, const struct suspect_page *p,
                   uint64_t number)
{
    if (number == ERRORS_LOGGED)
        log_warning("more page checksum failures follow; \"pgbr list --json\" has them");
    else if (number < ERRORS_LOGGED && p->state == SUSPECT_MISREAD)
        log_warning(
            "page checksum failure in \"%s\", block %u: it was read wrongly once and rightly "
            "later, and nobody wrote it in between: the backup holds the wrong reading; "
            "look at disk and memory, and take another backup",
            path, p->block);
    else if (number < ERRORS_LOGGED)
        log_warning("page checksum failure in \"%s\", block %u", path, p->block);
    if (info->n_errors == ERRORS_LISTED)
        return;
    info->errors = xrealloc(info->errors, (info->n_errors + 1) * sizeof *info->errors);
    info->errors[info->n_errors++] = (struct page_error){xstrdup(path), p->block};
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
                report(info, all[w].files[i].path, &all[w].files[i].pages[k], (*errors)++);
        *errors += all[w].unnoted;
    }
    return 0;
}
