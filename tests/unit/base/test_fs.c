#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crypt.h"
#include "base/fs.h"
#include "base/mem.h"

static struct err err;
static char work[] = "/tmp/pgbr-test-fs-XXXXXX"; /* the working directory of each test */

static int enter(void **state)
{
    (void)state;
    strcpy(work + sizeof work - 7, "XXXXXX");
    return mkdtemp(work) != NULL && chdir(work) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    return chdir("/") == 0 ? fs_remove_tree(AT_FDCWD, work, false, &err) : -1;
}

static void put(const char *path, const void *data, size_t len)
{
    OK(fs_replace(AT_FDCWD, path, data, len, 0600, &err), &err);
}

static void holds(const char *path, const void *data, size_t len)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    OK(fs_read_file(AT_FDCWD, path, 1 << 28, &b, &err), &err);
    assert_int_equal(b.len, len);
    assert_memory_equal(b.p, data, len);
}

static uint8_t *noise(size_t len)
{
    uint8_t *p = xaligned(FS_ALIGN, len);

    OK(crypt_random(p, len, &err), &err);
    return p;
}

static void a_file_is_read_whole_behind_what_is_there(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    (void)state;
    put("f", "content", 7);
    buf_adds(&b, "a ");
    OK(fs_read_file(AT_FDCWD, "f", 7, &b, &err), &err);
    assert_string_equal(buf_text(&b), "a content");
    put("empty", "", 0);
    OK(fs_read_file(AT_FDCWD, "empty", 0, &b, &err), &err);
    assert_int_equal(b.len, 9);
}

static void a_file_that_is_too_large_or_missing_leaves_the_buffer_alone(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    (void)state;
    put("f", "content", 7);
    buf_adds(&b, "a");
    FAILS(fs_read_file(AT_FDCWD, "f", 6, &b, &err), &err, ERR_CORRUPT);
    FAILS(fs_read_file(AT_FDCWD, "none", 6, &b, &err), &err, ERR_NOT_FOUND);
    FAILS(fs_read_file(AT_FDCWD, ".", 6, &b, &err), &err, ERR_IO);
    assert_int_equal(b.len, 1);
    assert_string_equal(buf_text(&b), "a");
}

/* Files of /proc say that they are empty. */
static void a_file_of_unknown_size_is_read(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    (void)state;
    OK(fs_read_file(AT_FDCWD, "/proc/self/stat", 1 << 20, &b, &err), &err);
    assert_int_equal(strtol(b.p, NULL, 10), getpid());
    b.len = 0;
    FAILS(fs_read_file(AT_FDCWD, "/proc/self/stat", 3, &b, &err), &err, ERR_CORRUPT);
}

static void replacing_leaves_one_file_with_the_mode_asked_for(void **state)
{
    struct stat st;
    mode_t before = umask(077);

    (void)state;
    OK(fs_mkdirs("d", 0700, &err), &err);
    put("d/f", "old", 3);
    OK(fs_replace(AT_FDCWD, "d/f", "newer", 5, 0644, &err), &err);
    umask(before);
    holds("d/f", "newer", 5);
    assert_int_equal(stat("d/f", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(unlink("d/f"), 0);
    assert_int_equal(rmdir("d"), 0); /* no temporary file is left */
}

static void replacing_that_fails_leaves_the_old_file_and_no_other(void **state)
{
    (void)state;
    FAILS(fs_replace(AT_FDCWD, "none/f", "x", 1, 0600, &err), &err, ERR_NOT_FOUND);
    OK(fs_mkdirs("d/f/full", 0700, &err), &err);
    assert_int_equal(fs_replace(AT_FDCWD, "d/f", "x", 1, 0600, &err), -1);
    assert_int_equal(rmdir("d/f/full"), 0);
    assert_int_equal(rmdir("d/f"), 0);
    assert_int_equal(rmdir("d"), 0);
}

static void directories_are_made_with_their_parents(void **state)
{
    static const char *const paths[] = {"a/b/c", "a//x///y", "./z/", "a/b/c/", "a", "/", "."};

    (void)state;
    for (size_t i = 0; i < LENGTH(paths); i++) {
        OK(fs_mkdirs(paths[i], 0700, &err), &err);
        assert_true(fs_exists(AT_FDCWD, paths[i]));
    }
    put("f", "", 0);
    FAILS(fs_mkdirs("f", 0700, &err), &err, ERR_EXISTS);
    assert_int_equal(fs_mkdirs("f/g", 0700, &err), -1);
    OK(fs_sync_dir(AT_FDCWD, "a/b", &err), &err);
    FAILS(fs_sync_dir(AT_FDCWD, "f", &err), &err, ERR_NOT_FOUND); /* not a directory */
}

static void a_tree_is_removed_without_following_links(void **state)
{
    (void)state;
    OK(fs_mkdirs("kept", 0700, &err), &err);
    put("kept/f", "x", 1);
    OK(fs_mkdirs("t/a/b/c", 0700, &err), &err);
    put("t/a/f", "x", 1);
    assert_int_equal(symlink("../../kept", "t/a/link"), 0);
    assert_int_equal(symlink("nowhere", "t/broken"), 0);
    for (int i = 0; i < 3000; i++) { /* more than one buffer of directory entries */
        char name[20];
        snprintf(name, sizeof name, "t/a/b/%d", i);
        assert_int_equal(mknod(name, S_IFREG | 0600, 0), 0);
    }
    OK(fs_remove_tree(AT_FDCWD, "t", true, &err), &err);
    assert_int_equal(rmdir("t"), 0);
    OK(fs_remove_tree(AT_FDCWD, "t", false, &err), &err);
    OK(fs_remove_tree(AT_FDCWD, "t", true, &err), &err);
    assert_int_equal(symlink("kept", "link"), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, "link", true, &err), -1);
    OK(fs_remove_tree(AT_FDCWD, "link", false, &err), &err);
    assert_false(fs_exists(AT_FDCWD, "link"));
    holds("kept/f", "x", 1);
}

/* Every way to ask for a file's bytes gives them, whatever the alignment and what is cached. */
static void quiet_reading_gives_what_is_there(void **state)
{
    enum { LEN = 3 * 65536 + 1234 };
    static const size_t offsets[] = {0, 1, 4096, 65536, 3 * 65536, 3 * 65536 + 1000, LEN, LEN + 1};
    static const size_t lengths[] = {1, 100, 4096, 8192, 10000, 65536, LEN, LEN + 4096};
    AUTO(mem_free) uint8_t *data = noise(LEN), *out = xaligned(FS_ALIGN, 2 * LEN);
    AUTO(quiet_close) struct quiet_file f = QUIET_FILE_INIT;
    AUTO(fd_close) int other = -1; /* for bringing bytes into the cache */
    struct stat st;

    (void)state;
    put("f", data, LEN);
    other = open("f", O_RDONLY | O_CLOEXEC);
    OK(quiet_open(&f, AT_FDCWD, "f", &st, &err), &err);
    assert_int_equal(st.st_size, LEN);
    for (size_t i = 0; i < LENGTH(offsets) * LENGTH(lengths) * 4; i++) {
        size_t offset = offsets[i / 4 % LENGTH(offsets)];
        size_t len = lengths[i / 4 / LENGTH(offsets)], got;
        size_t want = offset < LEN ? MIN_OF(len, LEN - offset) : 0;
        uint8_t *p = out + (i & 1); /* aligned or not */
        if (i & 2)                  /* nothing, or only the second 64 KiB, in the cache */
            posix_fadvise(f.fd, 0, 0, POSIX_FADV_DONTNEED);
        if (i & 2 && i % 3 == 0)
            assert_int_equal(pread(other, p, 65536, 65536), 65536);
        memset(out, 0xee, 2 * LEN);
        OK(quiet_read(&f, p, len, offset, &got, &err), &err);
        assert_int_equal(got, want);
        assert_memory_equal(p, data + MIN_OF(offset, LEN), want);
        for (size_t k = len; k < len + 16; k++)
            assert_int_equal(p[k], 0xee); /* not a byte behind the buffer */
    }
}

static void a_file_that_was_removed_is_still_read(void **state)
{
    enum { LEN = 65536 };
    AUTO(mem_free) uint8_t *data = noise(LEN), *out = xaligned(FS_ALIGN, LEN);
    AUTO(quiet_close) struct quiet_file f = QUIET_FILE_INIT;
    size_t got;

    (void)state;
    put("f", data, LEN);
    OK(quiet_open(&f, AT_FDCWD, "f", NULL, &err), &err);
    posix_fadvise(f.fd, 0, 0, POSIX_FADV_DONTNEED);
    assert_int_equal(unlink("f"), 0);
    OK(quiet_read(&f, out, LEN, 0, &got, &err), &err);
    assert_int_equal(got, LEN);
    assert_memory_equal(out, data, LEN);
}

static void quiet_reading_is_for_regular_files(void **state)
{
    struct quiet_file f = QUIET_FILE_INIT;

    (void)state;
    FAILS(quiet_open(&f, AT_FDCWD, "none", NULL, &err), &err, ERR_NOT_FOUND);
    FAILS(quiet_open(&f, AT_FDCWD, ".", NULL, &err), &err, ERR_FAILED);
    assert_int_equal(mkfifo("pipe", 0600), 0); /* must not wait for a writer */
    FAILS(quiet_open(&f, AT_FDCWD, "pipe", NULL, &err), &err, ERR_FAILED);
    assert_int_equal(f.fd, -1);
}

static void write_in_pieces(struct direct_file *f, const uint8_t *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece) {
        size_t n = MIN_OF(piece, len - at), room;
        if (at / piece % 3 != 0) {
            OK(direct_write(f, data + at, n, &err), &err);
            continue;
        }
        for (size_t done = 0; done < n; done += room) {
            void *space = direct_space(f, &room);
            room = MIN_OF(room, n - done);
            memcpy(space, data + at + done, room);
            OK(direct_advance(f, room, &err), &err);
        }
    }
}

static void a_streamed_file_holds_exactly_what_was_written(void **state)
{
    static const size_t lengths[] = {0,
                                     1,
                                     4096,
                                     4097,
                                     FS_IO_SIZE - 1,
                                     FS_IO_SIZE,
                                     FS_IO_SIZE + 1,
                                     FS_IO_SIZE + 4096,
                                     3 * FS_IO_SIZE + 5000};
    static const size_t pieces[] = {1000, 131072, FS_IO_SIZE, 3 * FS_IO_SIZE};
    AUTO(mem_free) uint8_t *data = noise(3 * FS_IO_SIZE + 5000);
    AUTO(direct_free) struct direct_file f = DIRECT_FILE_INIT;

    (void)state;
    for (size_t i = 0; i < LENGTH(lengths) * LENGTH(pieces); i++) {
        size_t len = lengths[i / LENGTH(pieces)];
        OK(direct_create(&f, AT_FDCWD, "f", 0600, &err), &err);
        write_in_pieces(&f, data, len, pieces[i % LENGTH(pieces)]);
        OK(direct_finish(&f, i % 2, &err), &err);
        assert_int_equal(f.written, len);
        holds("f", data, len);
        assert_int_equal(unlink("f"), 0);
    }
}

static void streaming_never_overwrites_and_can_be_abandoned(void **state)
{
    struct direct_file f = DIRECT_FILE_INIT;

    (void)state;
    put("f", "x", 1);
    FAILS(direct_create(&f, AT_FDCWD, "f", 0600, &err), &err, ERR_EXISTS);
    OK(direct_create(&f, AT_FDCWD, "g", 0600, &err), &err);
    OK(direct_write(&f, "abc", 3, &err), &err);
    direct_free(&f);
    assert_int_equal(f.fd, -1);
    assert_null(f.buffer);
    holds("g", "", 0);
    holds("f", "x", 1);
}

static void a_full_disk_is_told_as_such(void **state)
{
    AUTO(fd_close) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)state;
    FAILS(fs_write_all(fd, "x", 1, "/dev/full", &err), &err, ERR_NO_SPACE);
    FAILS(fs_pwrite_all(fd, "x", 1, 0, "/dev/full", &err), &err, ERR_NO_SPACE);
    assert_non_null(strstr(err.msg, "\"/dev/full\""));
}

static void positions_are_kept_when_reading_and_writing(void **state)
{
    AUTO(fd_close) int fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char out[8];
    size_t got;

    (void)state;
    OK(fs_write_all(fd, "0123456789", 10, "f", &err), &err);
    OK(fs_pwrite_all(fd, "ab", 2, 4, "f", &err), &err);
    OK(fs_pread_all(fd, out, 8, 3, &got, "f", &err), &err);
    assert_int_equal(got, 7);
    assert_memory_equal(out, "3ab6789", 7);
    OK(fs_sync_filesystem(fd, "f", &err), &err);
}

static void free_space_is_what_statvfs_says(void **state)
{
    uint64_t bytes = 0;

    (void)state;
    OK(fs_free_bytes(".", &bytes, &err), &err);
    assert_true(bytes > 0);
    FAILS(fs_free_bytes("none", &bytes, &err), &err, ERR_NOT_FOUND);
}

static void a_lock_keeps_others_out_and_names_its_holder(void **state)
{
    AUTO(lock_release) struct lock_file mine = LOCK_FILE_INIT, other = LOCK_FILE_INIT;
    char holder[40];

    (void)state;
    snprintf(holder, sizeof holder, "process %d", (int)getpid());
    put("lock", "12345678901234567890", 20); /* longer than a pid, of a holder long gone */
    OK(lock_take(&mine, "lock", &err), &err);
    FAILS(lock_take(&other, "lock", &err), &err, ERR_BUSY);
    assert_non_null(strstr(err.msg, holder));
    lock_release(&mine);
    OK(lock_take(&other, "lock", &err), &err);
    FAILS(lock_take(&mine, "none/lock", &err), &err, ERR_NOT_FOUND);
}

static void a_lock_ends_with_its_process(void **state)
{
    AUTO(lock_release) struct lock_file l = LOCK_FILE_INIT;
    pid_t child = fork();
    int status;

    (void)state;
    if (child == 0)
        _exit(lock_take(&l, "lock", &err) == 0 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    OK(lock_take(&l, "lock", &err), &err);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_read_whole_behind_what_is_there),
        TEST(a_file_that_is_too_large_or_missing_leaves_the_buffer_alone),
        TEST(a_file_of_unknown_size_is_read),
        TEST(replacing_leaves_one_file_with_the_mode_asked_for),
        TEST(replacing_that_fails_leaves_the_old_file_and_no_other),
        TEST(directories_are_made_with_their_parents),
        TEST(a_tree_is_removed_without_following_links),
        TEST(quiet_reading_gives_what_is_there),
        TEST(a_file_that_was_removed_is_still_read),
        TEST(quiet_reading_is_for_regular_files),
        TEST(a_streamed_file_holds_exactly_what_was_written),
        TEST(streaming_never_overwrites_and_can_be_abandoned),
        TEST(a_full_disk_is_told_as_such),
        TEST(positions_are_kept_when_reading_and_writing),
        TEST(free_space_is_what_statvfs_says),
        TEST(a_lock_keeps_others_out_and_names_its_holder),
        TEST(a_lock_ends_with_its_process),
    };
    return cmocka_run_group_tests_name("fs", tests, NULL, NULL);
}
