#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "postgres/control.h"
#include "tests/unit/postgres/samples.h"

/* What the servers themselves said about the samples (pg_control_*() functions). */
static const struct known {
    const char *hex;
    unsigned major;
    uint64_t system_id, redo;
    uint64_t next_xid;
    int64_t checkpoint_time;
} known[] = {
    {control_13, 13, UINT64_C(7711475762405046098), 0xB003CC8, 492, 1795468060},
    {control_14, 14, UINT64_C(7711475767549355939), 0x7020C28, 736, 1795468060},
    {control_16, 16, UINT64_C(7711475778392516644), 0x4067410, 744, 1795468061},
    {control_17, 17, UINT64_C(7711475782963918935), 0x4069BC0, 752, 1795468061},
    {control_18, 18, UINT64_C(7711475787602389130), 0x600A540, 770, 1795468061},
};

static void load(const char *hex, uint8_t file[CONTROL_SIZE])
{
    memset(file, 0, CONTROL_SIZE);
    sample(hex, file);
}

static void every_version_says_what_its_server_says(void **state)
{
    struct err err = {0};
    uint8_t file[CONTROL_SIZE];
    struct pg_control c;

    (void)state;
    for (size_t i = 0; i < LENGTH(known); i++) {
        load(known[i].hex, file);
        OK(control_parse(file, sizeof file, &c, &err), &err);
        assert_int_equal(c.version->major, known[i].major);
        assert_true(c.system_id == known[i].system_id);
        assert_true(c.redo_lsn == known[i].redo);
        assert_true(c.checkpoint_lsn > c.redo_lsn);
        assert_int_equal(c.next_xid, known[i].next_xid);
        assert_int_equal(c.next_oid, 24576);
        assert_int_equal(c.checkpoint_time, known[i].checkpoint_time);
        assert_int_equal(c.state, CONTROL_IN_PRODUCTION);
        assert_int_equal(c.tli, 1);
        assert_int_equal(c.wal_level, WAL_LEVEL_REPLICA);
        assert_int_equal(c.max_connections, 100);
        assert_int_equal(c.max_worker_processes, 8);
        assert_int_equal(c.max_wal_senders, 10);
        assert_int_equal(c.max_locks_per_transaction, 64);
        assert_int_equal(c.block_size, 8192);
        assert_int_equal(c.relseg_pages, 131072);
        assert_int_equal(c.wal_block_size, 8192);
        assert_int_equal(c.wal_segsz, 16 << 20);
        assert_int_equal(c.checksum_version, 1);
        assert_true(c.full_page_writes);
    }
}

/* Expected: pg_controldata of the same standby. */
static void a_standby_says_how_far_it_must_recover(void **state)
{
    struct err err = {0};
    uint8_t file[CONTROL_SIZE];
    struct pg_control c;

    (void)state;
    load(control_15_standby, file);
    OK(control_parse(file, sizeof file, &c, &err), &err);
    assert_int_equal(c.version->major, 15);
    assert_int_equal(c.state, CONTROL_IN_ARCHIVE_RECOVERY);
    assert_string_equal(control_state_name(c.state), "in archive recovery");
    assert_true(c.checkpoint_lsn == 0x9000060);
    assert_true(c.redo_lsn == 0x9000028);
    assert_true(c.min_recovery_point == 0xA000000);
    assert_int_equal(c.min_recovery_tli, 1);
    assert_true(c.backup_start == 0);
    assert_true(c.backup_end == 0);
    assert_false(c.backup_end_required);
    assert_int_equal(c.oldest_xid, 716);
    assert_int_equal(c.oldest_active_xid, 743);
}

/* Fields that are zero in the samples, at the offsets of pg_control.h. */
static void the_end_of_an_unfinished_restore_is_read(void **state)
{
    struct err err = {0};
    uint8_t file[CONTROL_SIZE];
    struct pg_control c;

    (void)state;
    load(control_15_standby, file);
    put_u32(file + 80, 80);
    put_u64(file + 152, 152);
    put_u64(file + 160, 160);
    file[168] = 1;
    file[176] = 1;
    put_u32(file + 192, 192);
    file[200] = 1;
    put_u32(file + 288, crc32c(0, file, 288));
    OK(control_parse(file, sizeof file, &c, &err), &err);
    assert_int_equal(c.next_multi_offset, 80);
    assert_true(c.backup_start == 152);
    assert_true(c.backup_end == 160);
    assert_true(c.backup_end_required);
    assert_true(c.wal_log_hints);
    assert_int_equal(c.max_prepared_transactions, 192);
    assert_true(c.track_commit_timestamp);
}

static void any_flipped_bit_is_noticed(void **state)
{
    struct err err = {0};
    uint8_t file[CONTROL_SIZE];
    struct pg_control c;

    (void)state;
    load(control_18, file);
    for (size_t bit = 0; bit < 296 * 8; bit++) {
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(control_parse(file, sizeof file, &c, &err), -1);
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    OK(control_parse(file, sizeof file, &c, &err), &err);
}

static void a_file_that_was_cut_is_refused(void **state)
{
    struct err err = {0};
    uint8_t file[CONTROL_SIZE];
    struct pg_control c;

    (void)state;
    load(control_18, file);
    for (size_t len = 0; len < 296; len++)
        FAILS(control_parse(file, len, &c, &err), &err, ERR_CORRUPT);
}

/* Each of these comes with a checksum that fits. */
static void values_no_server_writes_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
        enum err_code why;
    } rows[] = {
        {8, 1200, ERR_UNSUPPORTED},                    /* PostgreSQL 12 */
        {12, 202209060, ERR_UNSUPPORTED},              /* a beta */
        {8, __builtin_bswap32(1300), ERR_UNSUPPORTED}, /* the other byte order */
        {16, 7, ERR_CORRUPT},                          /* state */
        {48, 0, ERR_CORRUPT},                          /* timeline */
        {216, 0, ERR_CORRUPT},                         /* page size */
        {216, 8191, ERR_CORRUPT},
        {220, 0, ERR_CORRUPT}, /* pages in a segment */
        {228, 0, ERR_CORRUPT},
        {228, 17, ERR_CORRUPT}, /* WAL segment size */
        {228, UINT32_C(1) << 31, ERR_CORRUPT},
    };
    struct err err = {0};
    uint8_t file[CONTROL_SIZE];
    struct pg_control c;

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        load(control_15, file);
        put_u32(file + rows[i].at, rows[i].value);
        put_u32(file + 288, crc32c(0, file, 288));
        FAILS(control_parse(file, sizeof file, &c, &err), &err, rows[i].why);
    }
}

static void a_file_on_disk_is_read_with_its_bytes(void **state)
{
    AUTO(buf_free) struct buf raw = BUF_INIT;
    AUTO(fd_close) int dir = -1;
    struct err err = {0};
    char path[] = "/tmp/pgbr-control-XXXXXX";
    uint8_t file[CONTROL_SIZE];
    struct pg_control c;

    (void)state;
    assert_non_null(mkdtemp(path));
    dir = open(path, O_RDONLY | O_DIRECTORY);
    load(control_17, file);
    OK(fs_replace(dir, "pg_control", file, sizeof file, 0600, &err), &err);
    buf_adds(&raw, "old");
    OK(control_read(dir, "pg_control", &raw, &c, &err), &err);
    assert_int_equal(c.version->major, 17);
    assert_int_equal(raw.len, CONTROL_SIZE);
    assert_memory_equal(raw.p, file, CONTROL_SIZE);

    file[100] ^= 1;
    OK(fs_replace(dir, "pg_control", file, sizeof file, 0600, &err), &err);
    FAILS(control_read(dir, "pg_control", NULL, &c, &err), &err, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "\"pg_control\": control file has checksum"));
    FAILS(control_read(dir, "none", NULL, &c, &err), &err, ERR_NOT_FOUND);
    OK(fs_remove_tree(AT_FDCWD, path, false, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_says_what_its_server_says),
        cmocka_unit_test(a_standby_says_how_far_it_must_recover),
        cmocka_unit_test(the_end_of_an_unfinished_restore_is_read),
        cmocka_unit_test(any_flipped_bit_is_noticed),
        cmocka_unit_test(a_file_that_was_cut_is_refused),
        cmocka_unit_test(values_no_server_writes_are_refused),
        cmocka_unit_test(a_file_on_disk_is_read_with_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
