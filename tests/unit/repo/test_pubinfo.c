#include <stdlib.h>

#include "base/mem.h"
#include "repo/manifest/manifest_form.h"
#include "repo/object/fields.h"
#include "tests/lib/test.h"

static struct err err;

static struct pubinfo example(struct wal_span spans[2])
{
    spans[0] = (struct wal_span){3, 0x1000000, 0x2345678};
    spans[1] = (struct wal_span){4, 0x2345678, UINT64_C(0xffffffff00000028)};
    return (struct pubinfo){
        .label = "20261122T140533Z-I-0a1b2c",
        .type = BACKUP_INCR,
        .base = "20261121T140533Z-F-0a0b0c",
        .cluster = strdup("main"),
        .instance = strdup("pg-test-1"),
        .host = strdup("db1"),
        .tool = strdup("pgbr 0.1.0"),
        .system_id = UINT64_C(7312345678901234567),
        .pg_version = 150018,
        .timeline = 4,
        .start_lsn = 0x1000028,
        .stop_lsn = UINT64_C(0xffffffff00000028),
        .start_us = 1795356333000001,
        .stop_us = -5, /* a clock may say anything */
        .page_size = 8192,
        .wal_segment_size = 16 << 20,
        .spans = spans,
        .n_spans = 2,
        .raw_bytes = UINT64_MAX,
        .stored_bytes = 12345678901,
        .files = 987654,
        .page_errors = 3,
        .read_bytes = 123456789,
        .changes_found = CHANGES_FROM_WAL,
        .from_standby = true,
    };
}

/* The spans of an example are on the stack. */
static void example_free(struct pubinfo *p)
{
    p->spans = NULL;
    pubinfo_free(p);
}

static void same(const struct pubinfo *a, const struct pubinfo *b)
{
    assert_string_equal(a->label, b->label);
    assert_int_equal(a->type, b->type);
    assert_string_equal(a->base, b->base);
    assert_string_equal(a->cluster, b->cluster);
    assert_string_equal(a->instance, b->instance);
    assert_string_equal(a->host, b->host);
    assert_string_equal(a->tool, b->tool);
    assert_int_equal(a->system_id, b->system_id);
    assert_int_equal(a->pg_version, b->pg_version);
    assert_int_equal(a->timeline, b->timeline);
    assert_int_equal(a->start_lsn, b->start_lsn);
    assert_int_equal(a->stop_lsn, b->stop_lsn);
    assert_int_equal(a->start_us, b->start_us);
    assert_int_equal(a->stop_us, b->stop_us);
    assert_int_equal(a->page_size, b->page_size);
    assert_int_equal(a->wal_segment_size, b->wal_segment_size);
    assert_int_equal(a->n_spans, b->n_spans);
    for (uint32_t i = 0; i < a->n_spans; i++) {
        assert_int_equal(a->spans[i].timeline, b->spans[i].timeline);
        assert_int_equal(a->spans[i].start, b->spans[i].start);
        assert_int_equal(a->spans[i].stop, b->spans[i].stop);
    }
    assert_int_equal(a->raw_bytes, b->raw_bytes);
    assert_int_equal(a->stored_bytes, b->stored_bytes);
    assert_int_equal(a->files, b->files);
    assert_int_equal(a->page_errors, b->page_errors);
    assert_int_equal(a->read_bytes, b->read_bytes);
    assert_int_equal(a->changes_found, b->changes_found);
    assert_int_equal(a->from_standby, b->from_standby);
}

static void public_facts_are_read_as_they_were_written(void **state)
{
    struct wal_span spans[2];
    AUTO(example_free) struct pubinfo p = example(spans);
    AUTO(pubinfo_free) struct pubinfo back = {0};
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    (void)state;
    pubinfo_write(&p, &bytes);
    assert_in_range(bytes.len, 100, 1000); /* one small request lists a backup */
    OK(pubinfo_parse(bytes.p, bytes.len, &back, &err), &err);
    same(&p, &back);
}

static void public_facts_that_are_cut_off_are_refused(void **state)
{
    struct wal_span spans[2];
    AUTO(example_free) struct pubinfo p = example(spans);
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct pubinfo back;

    (void)state;
    p.changes_found = CHANGES_NOT_TOLD; /* it is last, and may be missing */
    pubinfo_write(&p, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        AUTO(mem_free) uint8_t *exact = xmalloc(len + 1);
        memcpy(exact, bytes.p, len);
        FAILS(pubinfo_parse(exact, len, &back, &err), &err, ERR_CORRUPT);
    }
}

/* The fields again, with one left out or replaced. */
static void with_field(const struct buf *bytes, unsigned tag, const void *data, size_t len,
                       bool keep, struct buf *out)
{
    struct fields f;
    struct field one;
    bool done = !keep;

    fields_begin(&f, bytes->p, bytes->len, "test");
    while (fields_next(&f, &one, &err) == 1) {
        if (!done && one.tag >= tag) {
            field_bytes(out, tag, data, len);
            done = true;
        }
        if (one.tag != tag)
            field_bytes(out, one.tag, one.p, one.len);
    }
    if (!done)
        field_bytes(out, tag, data, len);
}

static const struct damage {
    const char *what;
    unsigned tag;
    const char *bytes;
    size_t len;
    enum err_code code;
} damages[] = {
    {"another form of label", 1, "20261122T140533Z-I-0a1b2", 24, ERR_CORRUPT},
    {"a label with a slash", 1, "20261122T140533Z-I-0a1b2/", 25, ERR_CORRUPT},
    {"no label", 1, "", 0, ERR_CORRUPT},
    {"a host that clears the screen", 4, "db\33[2J", 6, ERR_CORRUPT},
    {"no such type", 3, "X", 1, ERR_CORRUPT},
    {"a type with more behind it", 3, "F\0", 2, ERR_CORRUPT},
    {"a NUL in the cluster's name", 7, "ma\0n", 4, ERR_CORRUPT},
    {"a system identifier of 7 bytes", 9, "1234567", 7, ERR_CORRUPT},
    {"a version beyond 32 bits", 11, "\xff\xff\xff\xff\x7f", 5, ERR_CORRUPT},
    {"a start LSN of 9 bytes", 15, "123456789", 9, ERR_CORRUPT},
    {"no WAL at all", 19, "\0", 1, ERR_CORRUPT},
    {"more WAL than bytes", 19, "\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18, ERR_CORRUPT},
    {"WAL that ends before it begins", 19, "\1\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18, ERR_CORRUPT},
    {"a standby that is neither yes nor no", 20, "\2", 1, ERR_CORRUPT},
    {"segments of 3 MiB", 21, "\x80\x80\xc0\x01", 4, ERR_CORRUPT},
    {"segments of 512 KiB", 21, "\x80\x80\x20", 3, ERR_CORRUPT},
    {"pages of 8,193 bytes", 23, "\x81\x40", 2, ERR_CORRUPT},
    {"bytes read in two numbers", 22, "\1\1", 2, ERR_CORRUPT},
    {"pages of 1 byte", 23, "\1", 1, ERR_CORRUPT},
    {"an unknown critical fact", 25, "", 0, ERR_UNSUPPORTED},
};

static void impossible_public_facts_are_refused(void **state)
{
    struct wal_span spans[2];
    AUTO(example_free) struct pubinfo p = example(spans);
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    (void)state;
    pubinfo_write(&p, &bytes);
    for (size_t i = 0; i < LENGTH(damages); i++) {
        AUTO(buf_free) struct buf bad = BUF_INIT;
        struct pubinfo back;
        with_field(&bytes, damages[i].tag, damages[i].bytes, damages[i].len, true, &bad);
        err_clear(&err);
        if (pubinfo_parse(bad.p, bad.len, &back, &err) == 0 || err.code != damages[i].code)
            fail_msg("%s: \"%s\"", damages[i].what, err.msg);
    }
}

static void critical_public_facts_must_be_there_and_others_need_not(void **state)
{
    static const unsigned needed[] = {1, 3, 7, 9, 11, 13, 15, 17, 19, 21, 23};
    struct wal_span spans[2];
    AUTO(example_free) struct pubinfo p = example(spans);
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(buf_free) struct buf later = BUF_INIT;
    AUTO(pubinfo_free) struct pubinfo back = {0};

    (void)state;
    pubinfo_write(&p, &bytes);
    for (size_t i = 0; i < LENGTH(needed); i++) {
        AUTO(buf_free) struct buf less = BUF_INIT;
        with_field(&bytes, needed[i], NULL, 0, false, &less);
        FAILS(pubinfo_parse(less.p, less.len, &back, &err), &err, ERR_CORRUPT);
    }
    for (unsigned tag = 2; tag <= 24; tag += 2) {
        AUTO(buf_free) struct buf less = BUF_INIT;
        with_field(&bytes, tag, NULL, 0, false, &less);
        OK(pubinfo_parse(less.p, less.len, &back, &err), &err);
        assert_non_null(back.instance);
        assert_non_null(back.host);
        assert_non_null(back.tool);
        pubinfo_free(&back);
    }
    with_field(&bytes, 26, "from a later version", 20, true, &later);
    OK(pubinfo_parse(later.p, later.len, &back, &err), &err);
    same(&p, &back);
}

/* ---- private facts ---- */

static void fill_info(struct backup_info *i)
{
    buf_adds(&i->backup_label, "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n");
    buf_add(&i->tablespace_map, "16384 /a\\\nb\n\0", 13);
    backup_info_setting(i, "max_connections", "100");
    backup_info_setting(i, "TimeZone", "");
    i->tablespaces = xcalloc(2, sizeof *i->tablespaces);
    i->tablespaces[0] = (struct tablespace_info){16384, strdup("/a\nb")};
    i->tablespaces[1] = (struct tablespace_info){UINT32_MAX, strdup("")};
    i->n_tablespaces = 2;
    i->errors = xcalloc(1, sizeof *i->errors);
    i->errors[0] = (struct page_error){strdup("base/5/1259"), 131071};
    i->n_errors = 1;
    i->checksums = true;
    i->catalog_version = 202307071;
    i->min_recovery_lsn = UINT64_C(0x1234567890);
}

static void private_facts_are_read_as_they_were_written(void **state)
{
    AUTO(backup_info_free) struct backup_info i = {0}, back = {0};
    AUTO(attributes_free) struct attributes a = {0}, back_a = {0};
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    (void)state;
    fill_info(&i);
    assert_int_equal(attributes_index(&a, 0600, "postgres", "postgres"), 0);
    assert_int_equal(attributes_index(&a, 07777, "root", "ssl-cert"), 1);
    assert_int_equal(attributes_index(&a, 0600, "postgres", "postgres"), 0);
    assert_int_equal(attributes_index(&a, 0600, "postgres", "root"), 2);
    assert_int_equal(attributes_index(&a, 07777, "root", "ssl-cert"), 1);
    backup_info_write(&i, &a, &bytes);
    OK(backup_info_parse(bytes.p, bytes.len, &back, &back_a, &err), &err);
    assert_int_equal(back.backup_label.len, i.backup_label.len);
    assert_memory_equal(back.backup_label.p, i.backup_label.p, i.backup_label.len);
    assert_int_equal(back.tablespace_map.len, 13);
    assert_memory_equal(back.tablespace_map.p, i.tablespace_map.p, 13);
    assert_string_equal(backup_info_get(&back, "max_connections"), "100");
    assert_string_equal(backup_info_get(&back, "TimeZone"), "");
    assert_null(backup_info_get(&back, "timezone"));
    assert_int_equal(back.n_tablespaces, 2);
    assert_string_equal(back.tablespaces[0].location, "/a\nb");
    assert_int_equal(back.tablespaces[1].oid, UINT32_MAX);
    assert_int_equal(back.n_errors, 1);
    assert_string_equal(back.errors[0].path, "base/5/1259");
    assert_int_equal(back.errors[0].block, 131071);
    assert_true(back.checksums);
    assert_int_equal(back.catalog_version, 202307071);
    assert_int_equal(back.min_recovery_lsn, UINT64_C(0x1234567890));
    assert_int_equal(back_a.n, 3);
    assert_int_equal(back_a.items[1].mode, 07777);
    assert_string_equal(back_a.items[1].user, "root");
    assert_string_equal(back_a.items[2].group, "root");
}

static void private_facts_that_are_cut_off_are_refused(void **state)
{
    AUTO(backup_info_free) struct backup_info i = {0};
    AUTO(attributes_free) struct attributes a = {0};
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct backup_info back;
    struct attributes back_a;

    (void)state;
    fill_info(&i);
    attributes_index(&a, 0600, "postgres", "postgres");
    backup_info_write(&i, &a, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        AUTO(mem_free) uint8_t *exact = xmalloc(len + 1);
        memcpy(exact, bytes.p, len);
        FAILS(backup_info_parse(exact, len, &back, &back_a, &err), &err, ERR_CORRUPT);
    }
}

static const struct damage info_damages[] = {
    {"settings: a name without value", 2, "\1\1a", 3, ERR_CORRUPT},
    {"settings: more than bytes", 2, "\3\0\0\0\0", 5, ERR_CORRUPT},
    {"settings: bytes left over", 2, "\1\0\0\0", 4, ERR_CORRUPT},
    {"page errors: a path that is cut off", 4, "\1\5ab", 4, ERR_CORRUPT},
    {"tablespaces: an OID beyond 32 bits", 5, "\1\xff\xff\xff\xff\x7f\0", 7, ERR_CORRUPT},
    {"tablespaces: a NUL in a location", 5, "\1\1\1\0", 4, ERR_CORRUPT},
    {"an LSN of 4 bytes", 6, "1234", 4, ERR_CORRUPT},
    {"checksums that are neither on nor off", 7, "\2", 1, ERR_CORRUPT},
    {"owners: a mode of more than 12 bits", 11, "\1\x80\x20\1a\1b", 7, ERR_CORRUPT},
    {"owners: more than bytes", 11, "\7\0\0\0", 4, ERR_CORRUPT},
    {"an unknown critical fact", 13, "", 0, ERR_UNSUPPORTED},
};

static void impossible_private_facts_are_refused(void **state)
{
    AUTO(backup_info_free) struct backup_info i = {0};
    AUTO(attributes_free) struct attributes a = {0};
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    (void)state;
    fill_info(&i);
    backup_info_write(&i, &a, &bytes);
    for (size_t k = 0; k < LENGTH(info_damages); k++) {
        const struct damage *d = &info_damages[k];
        AUTO(buf_free) struct buf bad = BUF_INIT;
        struct backup_info back;
        struct attributes back_a;
        with_field(&bytes, d->tag, d->bytes, d->len, true, &bad);
        err_clear(&err);
        if (backup_info_parse(bad.p, bad.len, &back, &back_a, &err) == 0 || err.code != d->code)
            fail_msg("%s: \"%s\"", d->what, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_facts_are_read_as_they_were_written),
        cmocka_unit_test(public_facts_that_are_cut_off_are_refused),
        cmocka_unit_test(impossible_public_facts_are_refused),
        cmocka_unit_test(critical_public_facts_must_be_there_and_others_need_not),
        cmocka_unit_test(private_facts_are_read_as_they_were_written),
        cmocka_unit_test(private_facts_that_are_cut_off_are_refused),
        cmocka_unit_test(impossible_private_facts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
