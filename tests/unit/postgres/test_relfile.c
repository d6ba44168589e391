#include "tests/lib/test.h"

#include "postgres/relfile.h"
#include "tests/unit/postgres/samples.h"

static void relation_paths_are_read_and_written(void **state)
{
    static const struct {
        const char *path;
        struct rel_file f;
    } rows[] = {
        {"base/5/1259", {SPC_DEFAULT, 5, 1259, FORK_MAIN, 0}},
        {"base/5/1259_vm.1", {SPC_DEFAULT, 5, 1259, FORK_VM, 1}},
        {"base/5/1259_fsm", {SPC_DEFAULT, 5, 1259, FORK_FSM, 0}},
        {"base/4294967295/4294967295_init.32767",
         {SPC_DEFAULT, UINT32_MAX, UINT32_MAX, FORK_INIT, 32767}},
        {"global/1260", {SPC_GLOBAL, 0, 1260, FORK_MAIN, 0}},
        {"pg_tblspc/16400/PG_15_202209061/5/123.12", {16400, 5, 123, FORK_MAIN, 12}},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        AUTO(buf_free) struct buf path = BUF_INIT;
        struct rel_file f;
        assert_true(relfile_parse(rows[i].path, &f));
        assert_memory_equal(&f, &rows[i].f, sizeof f);
        relfile_format(&f, "PG_15_202209061", &path);
        assert_string_equal(buf_text(&path), rows[i].path);
    }
}

static void other_paths_are_no_relations(void **state)
{
    static const char *const rows[] = {
        "",
        "base",
        "base/5",
        "base/5/",
        "base/5/PG_VERSION",
        "base/5/pg_filenode.map",
        "base/5/0017",
        "base/5/0",
        "base/5/17.0",
        "base/5/17.01",
        "base/5/17.32768",
        "base/5/17.",
        "base/5/17_",
        "base/5/17_main",
        "base/5/17_vmx",
        "base/5/17_vm_fsm",
        "base/5/17 ",
        "base/5/4294967296",
        "base/5/99999999999999999999",
        "base/05/17",
        "base/x/17",
        "base/5/17/18",
        "base/5/t3_17",
        "global/5/17",
        "global/pg_control",
        "pg_tblspc/16400/5/17",
        "pg_tblspc/16400/PG_15_202209061/17",
        "pg_tblspc/16400/PG_15/5/17",
        "pg_tblspc/x/PG_15_202209061/5/17",
        "pg_xact/0000",
        "pg_wal/17",
    };
    struct rel_file f;

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++)
        if (relfile_parse(rows[i], &f))
            fail_msg("\"%s\" was taken for a relation", rows[i]);
}

static void database_directories_are_told_from_others(void **state)
{
    (void)state;
    assert_true(relfile_is_db_dir("global"));
    assert_true(relfile_is_db_dir("base/5"));
    assert_true(relfile_is_db_dir("pg_tblspc/16400/PG_15_202209061/5"));
    assert_false(relfile_is_db_dir(""));
    assert_false(relfile_is_db_dir("base"));
    assert_false(relfile_is_db_dir("base/pgsql_tmp"));
    assert_false(relfile_is_db_dir("pg_tblspc/16400"));
    assert_false(relfile_is_db_dir("pg_tblspc/16400/PG_15_202209061"));
    assert_false(relfile_is_db_dir("pg_xact"));
}

static void temporary_relations_are_known_by_their_t(void **state)
{
    (void)state;
    assert_true(relfile_is_temporary("t3_16400"));
    assert_true(relfile_is_temporary("t0_16400_fsm"));
    assert_true(relfile_is_temporary("t12_16400_init.3"));
    assert_false(relfile_is_temporary("t_16400"));
    assert_false(relfile_is_temporary("t3_"));
    assert_false(relfile_is_temporary("t3_x"));
    assert_false(relfile_is_temporary("16400"));
    assert_false(relfile_is_temporary("t3"));
    assert_false(relfile_is_temporary(""));
}

static void an_oid_is_a_number_without_leading_zeros(void **state)
{
    (void)state;
    assert_int_equal(oid_parse("16400"), 16400);
    assert_int_equal(oid_parse("4294967295"), UINT32_MAX);
    assert_int_equal(oid_parse("4294967296"), 0);
    assert_int_equal(oid_parse("0"), 0);
    assert_int_equal(oid_parse("016400"), 0);
    assert_int_equal(oid_parse("16400x"), 0);
    assert_int_equal(oid_parse(""), 0);
    assert_int_equal(oid_parse("-1"), 0);
}

static void names_decide_what_is_backed_up(void **state)
{
    static const struct {
        const char *dir, *name;
        bool is_dir;
        enum scan_verdict verdict;
    } rows[] = {
        {"", "pg_wal", true, SCAN_EMPTY_DIR},
        {"", "pg_replslot", true, SCAN_EMPTY_DIR},
        {"", "pg_stat_tmp", true, SCAN_EMPTY_DIR},
        {"", "pg_dynshmem", true, SCAN_EMPTY_DIR},
        {"", "pg_notify", true, SCAN_EMPTY_DIR},
        {"", "pg_serial", true, SCAN_EMPTY_DIR},
        {"", "pg_snapshots", true, SCAN_EMPTY_DIR},
        {"", "pg_subtrans", true, SCAN_EMPTY_DIR},
        {"base", "pgsql_tmp", true, SCAN_SKIP},
        {"base/pgsql_tmp", "pgsql_tmp123.4", false, SCAN_SKIP},
        {"", "postmaster.pid", false, SCAN_SKIP},
        {"", "postmaster.opts", false, SCAN_SKIP},
        {"", "postgresql.auto.conf.tmp", false, SCAN_SKIP},
        {"", "backup_label", false, SCAN_SKIP},
        {"", "backup_label.old", false, SCAN_SKIP},
        {"", "tablespace_map", false, SCAN_SKIP},
        {"", "tablespace_map.old", false, SCAN_SKIP},
        {"", "backup_manifest", false, SCAN_SKIP},
        {"", "recovery.signal", false, SCAN_SKIP},
        {"", "standby.signal", false, SCAN_SKIP},
        {"", "current_logfiles", false, SCAN_SKIP},
        {"", "current_logfiles.tmp", false, SCAN_SKIP},
        {"", "extern.pid", false, SCAN_SKIP},
        {"", "pg_wal.before-restore-20260102T030405Z", true, SCAN_SKIP},
        {"global", "pg_internal.init", false, SCAN_SKIP},
        {"base/5", "pg_internal.init.4711", false, SCAN_SKIP},
        {"base/5", "pg_filenode.map.tmp", false, SCAN_SKIP},
        {"global", "pg_control.pgbr", false, SCAN_SKIP},
        {"", ".DS_Store", false, SCAN_SKIP},

        {"", "PG_VERSION", false, SCAN_KEEP},
        {"", "postgresql.conf", false, SCAN_KEEP},
        {"", "postgresql.auto.conf", false, SCAN_KEEP},
        {"", "pg_hba.conf", false, SCAN_KEEP},
        {"", "log", true, SCAN_KEEP},
        {"log", "current_logfiles", false, SCAN_KEEP},
        {"conf.d", "x.pid", false, SCAN_KEEP},
        {"", "pg_xact", true, SCAN_KEEP},
        {"", "pg_twophase", true, SCAN_KEEP},
        {"", "pg_logical", true, SCAN_KEEP},
        {"pg_logical", "replorigin_checkpoint", false, SCAN_KEEP},
        {"", "pg_stat", true, SCAN_KEEP},
        {"", "pg_tblspc", true, SCAN_KEEP},
        {"", "pg_commit_ts", true, SCAN_KEEP},
        {"global", "pg_control", false, SCAN_KEEP},
        {"global", "pg_filenode.map", false, SCAN_KEEP},
        {"base/5", "pg_filenode.map", false, SCAN_KEEP},
        {"base/5", "PG_VERSION", false, SCAN_KEEP},
        {"base/5", "16400", false, SCAN_KEEP},
        {"mine", "pg_wal", true, SCAN_KEEP},
        {"mine", "recovery.signal", false, SCAN_KEEP},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++)
        if (scan_exclude(rows[i].dir, rows[i].name, rows[i].is_dir) != rows[i].verdict)
            fail_msg("\"%s\" in \"%s\": not the verdict expected", rows[i].name, rows[i].dir);
}

static void of_unlogged_relations_only_the_init_fork_stays(void **state)
{
    static const struct {
        const char *name;
        bool skip;
    } rows[] = {
        {"16400", true},         {"16400.1", true},
        {"16400_fsm", true},     {"16400_init", false},
        {"16401", false},        {"16401_vm", false},
        {"1640", false},         {"t3_16401", true},
        {"PG_VERSION", false},   {"16500_vm.2", true},
        {"16500_init", false},   {"t3_16400_fsm", true},
        {"164000", false},       {"0016400", false},
        {"16500_init.1", false}, {"pg_filenode.map", false},
    };
    const char *names[LENGTH(rows)];
    bool skip[LENGTH(rows)] = {false};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++)
        names[i] = rows[i].name;
    scan_exclude_relations(names, LENGTH(rows), skip);
    for (size_t i = 0; i < LENGTH(rows); i++)
        if (skip[i] != rows[i].skip)
            fail_msg("\"%s\": not the verdict expected", rows[i].name);
    scan_exclude_relations(NULL, 0, NULL);
}

static void a_relation_map_is_whole_or_refused(void **state)
{
    static const struct {
        const char *entries, *crc;
        size_t len, crc_at;
    } rows[] = {{map_13, map_13_crc, 512, 504}, {map_18, map_18_crc, 524, 520}};
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint8_t map[524] = {0};

        sample(rows[i].entries, map);
        sample(rows[i].crc, map + rows[i].crc_at);
        OK(filenode_map_check(map, rows[i].len, &err), &err);
        for (size_t at = 0; at < rows[i].crc_at + 4; at++) {
            map[at] ^= 0x10;
            FAILS(filenode_map_check(map, rows[i].len, &err), &err, ERR_CORRUPT);
            map[at] ^= 0x10;
        }
        for (size_t len = 0; len < 524; len++)
            if (len != rows[i].len)
                FAILS(filenode_map_check(map, len, &err), &err, ERR_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relation_paths_are_read_and_written),
        cmocka_unit_test(other_paths_are_no_relations),
        cmocka_unit_test(database_directories_are_told_from_others),
        cmocka_unit_test(temporary_relations_are_known_by_their_t),
        cmocka_unit_test(an_oid_is_a_number_without_leading_zeros),
        cmocka_unit_test(names_decide_what_is_backed_up),
        cmocka_unit_test(of_unlogged_relations_only_the_init_fork_stays),
        cmocka_unit_test(a_relation_map_is_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
