#include "tests/lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "repo/store/store.h"
#include "tests/lib/store_contract.h"

static struct err err;
static char root[64]; /* of the store of the running test; also the working directory */

static int open_posix(void **state)
{
    struct store *s;

    strcpy(root, "/tmp/pgbr-test-posix-XXXXXX");
    if (mkdtemp(root) == NULL || chdir(root) != 0)
        return -1;
    OK(store_posix_open(&s, root, false, &err), &err);
    *state = s;
    return 0;
}

static int close_posix(void **state)
{
    struct store *s = *state;

    store_close(&s);
    return chdir("/") == 0 ? fs_remove_tree(AT_FDCWD, root, false, &err) : -1;
}

static void put(struct store *s, const char *key, const char *text)
{
    OK(store_put(s, key, STORE_CREATE_ONLY, text, strlen(text), &err), &err);
}

static void contains(struct store *s, const char *key, const char *text)
{
    AUTO(buf_free) struct buf got = BUF_INIT;

    OK(store_read(s, key, 10000, &got, &err), &err);
    assert_string_equal(buf_text(&got), text);
}

static int count_files(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;

    if (d == NULL)
        return 0;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

static void a_missing_directory_is_made_only_when_asked(void **state)
{
    struct store *s = NULL;

    (void)state;
    FAILS(store_posix_open(&s, "not/here", false, &err), &err, ERR_NOT_FOUND);
    OK(store_posix_open(&s, "not/here", true, &err), &err);
    put(s, "a", "x");
    assert_string_equal(store_where(s), "not/here");
    store_close(&s);
    OK(store_posix_open(&s, "not/here", false, &err), &err);
    contains(s, "a", "x");
    store_close(&s);
}

static void only_the_owner_may_look(void **state)
{
    static const struct {
        const char *path;
        mode_t mode;
    } made[] = {{"main", 0700},
                {"main/backup/x", 0700},
                {"main/backup/x/manifest", 0600},
                {"main/tmp", 0700}};
    struct stat st;
    mode_t umask_before = umask(0);

    put(*state, "main/backup/x/manifest", "x");
    umask(umask_before);
    for (size_t i = 0; i < LENGTH(made); i++) {
        assert_int_equal(stat(made[i].path, &st), 0);
        assert_int_equal(st.st_mode & 07777, made[i].mode);
    }
}

static void no_temporary_file_outlives_its_writer(void **state)
{
    struct store_writer *w;

    put(*state, "main/info/00000001", "x");
    put(*state, "top", "x");
    FAILS(store_put(*state, "main/info/00000001", STORE_CREATE_ONLY, "y", 1, &err), &err,
          ERR_EXISTS);
    OK(store_put(*state, "main/lease/a", STORE_REPLACE, "y", 1, &err), &err);
    OK(store_create(*state, "main/lease/b", STORE_REPLACE, &w, &err), &err);
    assert_int_equal(count_files("main/tmp"), 1);
    store_abandon(&w);
    assert_int_equal(count_files("main/tmp"), 0);
    assert_int_equal(count_files("tmp"), 0);
}

static void make_file(const char *path, time_t age_s)
{
    struct timespec times[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void a_sync_removes_what_dead_writers_left(void **state)
{
    put(*state, "main/info/00000001", "x");
    make_file("main/tmp/dead", 25 * 3600);
    make_file("main/tmp/alive", 23 * 3600);
    OK(store_sync(*state, &err), &err);
    assert_false(fs_exists(AT_FDCWD, "main/tmp/dead"));
    assert_true(fs_exists(AT_FDCWD, "main/tmp/alive"));
}

static int note_key(void *ctx, const struct store_entry *entry, struct err *e)
{
    (void)e;
    buf_addf(ctx, "%s\n", entry->key);
    return 0;
}

static void what_is_no_object_is_not_listed(void **state)
{
    AUTO(buf_free) struct buf seen = BUF_INIT;

    put(*state, "main/info/00000001", "x");
    make_file("main/tmp/unfinished", 0);
    make_file("main/info/bad name", 0);
    make_file("main/info/.nfs0000001", 0);
    make_file("lost+found", 0);
    assert_int_equal(mkfifo("main/info/pipe", 0600), 0);
    assert_int_equal(mkdir("main/empty", 0700), 0);
    assert_int_equal(mkdir("main/empty/empty", 0700), 0);
    OK(store_list(*state, "", STORE_DEEP, note_key, &seen, NULL, &err), &err);
    OK(store_list(*state, "main/", STORE_SHALLOW, note_key, &seen, NULL, &err), &err);
    assert_string_equal(buf_text(&seen), "main/info/00000001\nmain/info/\n");
}

static void a_cluster_may_lie_behind_a_link(void **state)
{
    AUTO(buf_free) struct buf seen = BUF_INIT;

    assert_int_equal(mkdir("elsewhere+", 0700), 0);
    assert_int_equal(symlink("elsewhere+", "main"), 0);
    put(*state, "main/info/00000001", "x");
    OK(store_list(*state, "", STORE_DEEP, note_key, &seen, NULL, &err), &err);
    assert_string_equal(buf_text(&seen), "main/info/00000001\n");
}

static void an_emptied_directory_goes_and_can_come_back(void **state)
{
    static const char *const keys[] = {"main/data/set/00000/00000000",
                                       "main/data/set/00000/00000001"};

    put(*state, keys[0], "x");
    put(*state, keys[1], "x");
    OK(store_delete(*state, keys, 1, &err), &err);
    assert_true(fs_exists(AT_FDCWD, "main/data/set/00000"));
    OK(store_delete(*state, keys, 2, &err), &err);
    assert_false(fs_exists(AT_FDCWD, "main/data/set"));
    assert_true(fs_exists(AT_FDCWD, "main/data"));
    put(*state, keys[0], "y");
    contains(*state, keys[0], "y");
}

static void a_directory_removed_by_another_process_is_made_again(void **state)
{
    struct store_writer *w;

    put(*state, "main/backup/x/manifest", "x");
    OK(store_create(*state, "main/backup/x/expired", STORE_CREATE_ONLY, &w, &err), &err);
    assert_int_equal(unlink("main/backup/x/manifest"), 0);
    assert_int_equal(rmdir("main/backup/x"), 0);
    OK(store_commit(&w, STORE_DURABLE, &err), &err);
    assert_true(fs_exists(AT_FDCWD, "main/backup/x/expired"));
}

/* Name of the only file in a directory. */
static void only_file(const char *dir, char *path, size_t size)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL)
        if (entry->d_name[0] != '.')
            snprintf(path, size, "%s/%s", dir, entry->d_name);
    closedir(d);
}

/* As on NFS: the first request was carried out, its reply lost, the repeated one finds the name. */
static void a_link_whose_reply_was_lost_is_a_success(void **state)
{
    struct store_writer *w;
    char temporary[300];

    put(*state, "main/info/00000001", "x");
    OK(store_create(*state, "main/info/00000002", STORE_CREATE_ONLY, &w, &err), &err);
    OK(store_write(w, "content", 7, &err), &err);
    only_file("main/tmp", temporary, sizeof temporary);
    assert_int_equal(link(temporary, "main/info/00000002"), 0);
    OK(store_commit(&w, STORE_DURABLE, &err), &err);
    contains(*state, "main/info/00000002", "content");
    assert_int_equal(count_files("main/tmp"), 0);
}

static void a_torn_object_at_the_name_is_kept(void **state)
{
    put(*state, "main/info/00000001", "x");
    make_file("main/info/00000002", 0);
    FAILS(store_put(*state, "main/info/00000002", STORE_CREATE_ONLY, "whole", 5, &err), &err,
          ERR_EXISTS);
    contains(*state, "main/info/00000002", "x");
}

/* ---- file systems that lack link() ---- */

/* From now on these system calls fail in this process with these errors. */
static bool forbid(long first, int first_error, long second, int second_error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)first, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)first_error),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)second, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)second_error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {LENGTH(filter), filter};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum { CHILD_FINE, CHILD_WRONG, CHILD_CANNOT };

/* In a child, since a filter stays for ever. */
static int create_twice(struct store *s)
{
    AUTO(buf_free) struct buf got = BUF_INIT;

    if (store_put(s, "main/info/00000001", STORE_CREATE_ONLY, "first", 5, &err) != 0) {
        fprintf(stderr, "%s\n", err.msg);
        return CHILD_WRONG;
    }
    if (store_put(s, "main/info/00000001", STORE_CREATE_ONLY, "second", 6, &err) == 0 ||
        err.code != ERR_EXISTS)
        return CHILD_WRONG;
    if (store_read(s, "main/info/00000001", 100, &got, &err) != 0 ||
        strcmp(buf_text(&got), "first") != 0)
        return CHILD_WRONG;
    return count_files("main/tmp") == 0 ? CHILD_FINE : CHILD_WRONG;
}

static void works_without(struct store *s, int link_error, int rename_error)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        bool ready =
            forbid(SYS_linkat, link_error, rename_error != 0 ? SYS_renameat2 : -1, rename_error);
        _exit(ready ? create_twice(s) : CHILD_CANNOT);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_CANNOT)
        skip();
    assert_int_equal(WEXITSTATUS(status), CHILD_FINE);
}

static void without_link_a_rename_that_refuses_serves(void **state)
{
    works_without(*state, EPERM, 0);
}

static void without_both_an_exclusive_copy_serves(void **state)
{
    works_without(*state, EOPNOTSUPP, EINVAL);
}

int main(void)
{
#define POSIX_TEST(test) cmocka_unit_test_setup_teardown(test, open_posix, close_posix)
    const struct CMUnitTest tests[] = {
        STORE_CONTRACT(open_posix, close_posix),
        POSIX_TEST(a_missing_directory_is_made_only_when_asked),
        POSIX_TEST(only_the_owner_may_look),
        POSIX_TEST(no_temporary_file_outlives_its_writer),
        POSIX_TEST(a_sync_removes_what_dead_writers_left),
        POSIX_TEST(what_is_no_object_is_not_listed),
        POSIX_TEST(a_cluster_may_lie_behind_a_link),
        POSIX_TEST(an_emptied_directory_goes_and_can_come_back),
        POSIX_TEST(a_directory_removed_by_another_process_is_made_again),
        POSIX_TEST(a_link_whose_reply_was_lost_is_a_success),
        POSIX_TEST(a_torn_object_at_the_name_is_kept),
        POSIX_TEST(without_link_a_rename_that_refuses_serves),
        POSIX_TEST(without_both_an_exclusive_copy_serves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
