/* pin.c - see pin.h. The note is one line; the time of its file is that of the last renewal. */
#include "wal/archive/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/lease/lease.h"

enum { NOTE_MAX = 512, RENEW_S = 600, LAPSED_S = 86400, STANDBY_S = 7 * 86400 };

static char *note_path(const char *state_dir, const char *cluster, const char *data_dir)
{
    return xasprintf("%s/%s.%016" PRIx64 ".pin", state_dir, cluster,
                     hash64(data_dir, strlen(data_dir)));
}

void pin_remember(const char *state_dir, const char *cluster, const char *data_dir,
                  const struct pin *pin)
{
    AUTO(mem_free) char *real = realpath(data_dir, NULL);
    AUTO(mem_free) char *path = note_path(state_dir, cluster, real != NULL ? real : data_dir);
    AUTO(mem_free)
    char *text =
        xasprintf("%s %s %s %016" PRIx64 " %u %u %" PRId64 "\n", pin->repo, pin->set, pin->base,
                  pin->id.system_id, pin->id.major, pin->id.timeline, pin->made_us);
    struct err err = {0};

    if (fs_mkdirs(state_dir, 0700, &err) != 0 ||
        fs_replace(AT_FDCWD, path, text, strlen(text), 0600, &err) != 0)
        log_debug("the restored backup is kept for a day only: %s", err.msg);
}

/* The next word, cut off at the space or newline behind it. */
static char *word(char **at)
{
    char *begin = *at, *end = begin + strcspn(begin, " \n");

    *at = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return begin;
}

static bool number(char **at, int base, uint64_t *value)
{
    const char *text = word(at);
    char *end;

    errno = 0;
    *value = strtoull(text, &end, base);
    return end != text && *end == '\0' && errno == 0;
}

static bool take_word(char **at, char *out, size_t size)
{
    return snprintf(out, size, "%s", word(at)) < (int)size && out[0] != '\0';
}

static bool parse(char *text, struct pin *p)
{
    uint64_t major, timeline, made;

    if (!take_word(&text, p->repo, sizeof p->repo) || !take_word(&text, p->set, sizeof p->set) ||
        !take_word(&text, p->base, sizeof p->base) || !number(&text, 16, &p->id.system_id) ||
        !number(&text, 10, &major) || !number(&text, 10, &timeline) || !number(&text, 10, &made))
        return false;
    p->id.major = (uint32_t)major;
    p->id.timeline = (uint32_t)timeline;
    p->made_us = (int64_t)made;
    return label_valid(p->set) && label_valid(p->base);
}

/* Whether it is time; a note that serves nobody any more is removed. */
static bool is_due(const char *path, struct pin *pin)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct err ignored = {0};
    int64_t age_s, made_s;
    struct stat st;

    if (stat(path, &st) != 0)
        return false;
    age_s = clock_now_us() / 1000000 - st.st_mtime;
    if (age_s < RENEW_S)
        return false;
    if (fs_read_file(AT_FDCWD, path, NOTE_MAX, &text, &ignored) != 0)
        return false;
    buf_addc(&text, '\0');
    made_s = parse(text.p, pin) ? (clock_now_us() - pin->made_us) / 1000000 : INT64_MAX;
    if (age_s < LAPSED_S &&
        made_s < (fs_exists(AT_FDCWD, "standby.signal") ? (int64_t)STANDBY_S : INT64_MAX))
        return true;
    unlink(path);
    return false;
}

void pin_renew(const char *state_dir, const char *cluster, const struct open_repos *repos)
{
    AUTO(mem_free) char *path = NULL;
    char here[PATH_MAX], host[256] = "";
    struct pin pin = {0};
    struct lease_terms terms;
    struct err err = {0};

    if (getcwd(here, sizeof here) == NULL)
        return;
    path = note_path(state_dir, cluster, here);
    if (!is_due(path, &pin))
        return;
    gethostname(host, sizeof host - 1);
    terms = (struct lease_terms){
        .id = pin.id, .base = pin.base, .host = host, .pid = (uint32_t)getpid()};
    for (size_t i = 0; i < repos->n; i++)
        if (strcmp(repos->items[i].name, pin.repo) == 0 && repos->items[i].repo != NULL &&
            lease_touch(repos->items[i].repo, pin.set, &terms, &err) != 0)
            log_debug("the restored backup is not kept any longer: %s", err.msg);
    if (utimensat(AT_FDCWD, path, NULL, 0) != 0) /* also after a failure: not at each segment */
        unlink(path);
}
