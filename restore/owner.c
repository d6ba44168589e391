/* owner.c - see owner.h. */
#include "restore/owner.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

/* A decimal id stands where the original host had no name for it. */
static bool as_number(const char *name, unsigned long *id)
{
    char *end;

    if (name[0] < '0' || name[0] > '9')
        return false;
    *id = strtoul(name, &end, 10);
    return *end == '\0' && *id < UINT32_MAX;
}

static uid_t uid_of(const char *name)
{
    const struct passwd *pw = getpwnam(name);
    unsigned long id;

    if (pw != NULL)
        return pw->pw_uid;
    return as_number(name, &id) ? (uid_t)id : (uid_t)-1;
}

static gid_t gid_of(const char *name)
{
    const struct group *gr = getgrnam(name);
    unsigned long id;

    if (gr != NULL)
        return gr->gr_gid;
    return as_number(name, &id) ? (gid_t)id : (gid_t)-1;
}

/* Only root can give files away; a group one is a member of is not worth an error. */
static void look_up(struct owner_memory *m)
{
    m->uid = m->user[0] == '\0' ? geteuid() : uid_of(m->user);
    m->gid = m->group[0] == '\0' ? getegid() : gid_of(m->group);
    if (m->uid == (uid_t)-1 || (geteuid() != 0 && m->uid != geteuid()))
        m->lost = true;
    if (geteuid() != 0 || m->uid == geteuid())
        m->uid = (uid_t)-1;
    if (geteuid() != 0 || m->gid == getegid())
        m->gid = (gid_t)-1;
}

void owner_of(struct owner_memory *m, const struct entry *e, uid_t *uid, gid_t *gid)
{
    const char *user = e->user == NULL ? "" : e->user, *group = e->group == NULL ? "" : e->group;

    if (m->user == NULL || strcmp(m->user, user) != 0 || strcmp(m->group, group) != 0) {
        owner_free(m);
        m->user = xstrdup(user);
        m->group = xstrdup(group);
        look_up(m);
    }
    *uid = m->uid;
    *gid = m->gid;
}

void owner_free(struct owner_memory *m)
{
    free(m->user);
    free(m->group);
    m->user = NULL;
    m->group = NULL;
}
