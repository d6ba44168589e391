/* confine.c - see confine.h. The numbers are the kernel's (linux/landlock.h), so that a program
 * built with older headers can use what a newer kernel offers. */
#include "restore/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"

/* Everything that changes something; reading and executing are left alone. */
#define FS_WRITE UINT64_C(0x0002)
#define FS_CHANGE_DIRS UINT64_C(0x1ff0) /* remove and make, of every kind */
#define FS_REFER UINT64_C(0x2000)
#define FS_TRUNCATE UINT64_C(0x4000)
#define NET_BIND UINT64_C(1)
#define NET_CONNECT UINT64_C(2)
#define SCOPE_ABSTRACT_SOCKET UINT64_C(1) /* out of the cage: no connection, no signal */
#define SCOPE_SIGNAL UINT64_C(2)

enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NET = 4, ABI_SCOPE = 6 };

struct attributes {
    uint64_t fs, net, scoped;
};

static size_t size_for(long abi)
{
    if (abi >= ABI_SCOPE)
        return sizeof(struct attributes);
    return abi >= ABI_NET ? offsetof(struct attributes, scoped) : offsetof(struct attributes, net);
}

static int create(const struct attributes *a, size_t size)
{
    return (int)syscall(SYS_landlock_create_ruleset, a, size, 0);
}

static int allow(int rules, const char *path, uint64_t access, struct err *err)
{
    AUTO(fd_close) int fd = open(path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr below = {.allowed_access = access, .parent_fd = fd};

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0) != 0)
        return err_sys(err, "cannot confine the server to \"%s\"", path);
    return 0;
}

int confine_prepare(struct confinement *c, const char *const *dirs, size_t n, bool network,
                    struct err *err)
{
    struct attributes a = {.fs = FS_WRITE | FS_CHANGE_DIRS | FS_REFER};
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    c->rules = -1;
    if (abi < ABI_REFER) /* before that no file can be renamed into another directory at all */
        return 0;
    if (abi >= ABI_TRUNCATE)
        a.fs |= FS_TRUNCATE;
    a.net = NET_BIND | (network ? 0 : NET_CONNECT);
    a.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
    c->rules = create(&a, size_for(abi));
    if (c->rules < 0)
        return err_sys(err, "cannot confine the server");
    for (size_t i = 0; i < n; i++)
        TRY(allow(c->rules, dirs[i], a.fs, err));
    TRY(allow(c->rules, "/dev", a.fs & (FS_WRITE | FS_TRUNCATE), err));
    return allow(c->rules, "/dev/shm", a.fs, err);
}

bool confine_self(const struct confinement *c)
{
    if (c->rules < 0)
        return true;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_landlock_restrict_self, c->rules, 0) == 0;
}

void confine_free(struct confinement *c)
{
    fd_close(&c->rules);
}
