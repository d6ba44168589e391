/* test_read_ahead.c - pieces come as if they had been read when they are asked for. */
#include "base/read_ahead.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/lib/test.h"

enum { PIECE = 64 << 10, PIECES = 9, REST = 5000 };

static struct err err;

static int make_file(char path[32])
{
    uint8_t *data = xmalloc(PIECE);
    int fd;

    strcpy(path, "/tmp/pgbr-test-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    for (int i = 0; i <= PIECES; i++) {
        size_t len = i < PIECES ? PIECE : REST;

        memset(data, 'a' + i, len);
        assert_int_equal(write(fd, data, len), len);
    }
    free(data);
    return fd;
}

static void pieces_come_in_order_to_the_end_of_the_file(void **state)
{
    AUTO(read_ahead_free) struct read_ahead *a = read_ahead_new();
    AUTO(mem_free) uint8_t *now = xaligned(FS_ALIGN, PIECE);
    AUTO(mem_free) uint8_t *next = xaligned(FS_ALIGN, PIECE);
    struct quiet_file f;
    char path[32];
    int fd = make_file(path);

    (void)state;
    OK(quiet_open(&f, AT_FDCWD, path, NULL, &err), &err);
    for (int i = 0; i <= PIECES; i++) {
        size_t got;

        assert_false(read_ahead_busy(a));
        OK(read_ahead_begin(a, &f, i % 2 == 0 ? now : next, PIECE, (uint64_t)i * PIECE, &err),
           &err);
        assert_true(read_ahead_busy(a));
        OK(read_ahead_wait(a, &got, &err), &err);
        assert_int_equal(got, i < PIECES ? PIECE : REST);
        assert_int_equal((i % 2 == 0 ? now : next)[got - 1], 'a' + i);
    }
    quiet_close(&f);
    close(fd);
    unlink(path);
}

static void what_cannot_be_read_is_told_by_the_wait(void **state)
{
    AUTO(read_ahead_free) struct read_ahead *a = read_ahead_new();
    AUTO(mem_free) uint8_t *now = xaligned(FS_ALIGN, PIECE);
    struct quiet_file f;
    char path[32];
    int fd = make_file(path);
    size_t got;

    (void)state;
    OK(quiet_open(&f, AT_FDCWD, path, NULL, &err), &err);
    close(f.fd);
    f.fd = -1;
    OK(read_ahead_begin(a, &f, now, PIECE, 0, &err), &err);
    FAILS(read_ahead_wait(a, &got, &err), &err, ERR_IO);
    assert_non_null(strstr(err.msg, path));
    close(fd);
    unlink(path);
}

static void an_end_waits_for_what_is_under_way(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct read_ahead *a = read_ahead_new();
        AUTO(mem_free) uint8_t *now = xaligned(FS_ALIGN, PIECE);
        struct quiet_file f;
        char path[32];
        int fd = make_file(path);

        OK(quiet_open(&f, AT_FDCWD, path, NULL, &err), &err);
        OK(read_ahead_begin(a, &f, now, PIECE, 0, &err), &err);
        read_ahead_free(&a);
        assert_null(a);
        assert_int_equal(now[0], 'a');
        quiet_close(&f);
        close(fd);
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_come_in_order_to_the_end_of_the_file),
        cmocka_unit_test(what_cannot_be_read_is_told_by_the_wait),
        cmocka_unit_test(an_end_waits_for_what_is_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
