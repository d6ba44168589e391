#include "tests/lib/test.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"

static void text_grows_and_stays_terminated(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    char *text;

    (void)state;
    assert_string_equal(buf_text(&b), "");
    for (int i = 0; i < 1000; i++) {
        buf_adds(&b, "ab");
        buf_addc(&b, 'c');
        buf_addf(&b, "%d", i % 10);
        assert_int_equal(strlen(b.p), b.len);
    }
    assert_int_equal(b.len, 4000);
    assert_memory_equal(b.p, "abc0abc1abc2", 12);
    buf_clear(&b);
    assert_string_equal(buf_text(&b), "");
    buf_addf(&b, "%s", "");
    assert_int_equal(b.len, 0);
    buf_hex(&b, "\x00\xff\x1a", 3);
    text = buf_steal(&b);
    assert_string_equal(text, "00ff1a");
    assert_null(b.p);
    free(text);
    text = buf_steal(&b);
    assert_string_equal(text, "");
    free(text);
}

static void integers_are_little_endian_and_come_back(void **state)
{
    static const uint8_t want[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f,
                                   0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08};
    AUTO(buf_free) struct buf b = BUF_INIT;
    struct cursor c;

    (void)state;
    buf_u8(&b, 0x01);
    buf_u16(&b, 0x0203);
    buf_u32(&b, 0x04050607);
    buf_u64(&b, 0x08090a0b0c0d0e0f);
    assert_int_equal(b.len, sizeof want);
    assert_memory_equal(b.p, want, sizeof want);
    c = cursor_of(b.p, b.len);
    assert_int_equal(cur_u8(&c), 0x01);
    assert_int_equal(cur_u16(&c), 0x0203);
    assert_int_equal(cur_u32(&c), 0x04050607);
    assert_int_equal(cur_u64(&c), 0x08090a0b0c0d0e0f);
    assert_true(cur_done(&c));
}

static void varints_of_all_sizes_come_back(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    (void)state;
    for (int shift = 0; shift < 64; shift++)
        for (int off = -1; off <= 1; off++) {
            uint64_t v = (UINT64_C(1) << shift) + (uint64_t)off;
            struct cursor c;
            buf_clear(&b);
            buf_uv(&b, v);
            buf_sv(&b, (int64_t)v);
            buf_sv(&b, -(int64_t)(v >> 1));
            c = cursor_of(b.p, b.len);
            assert_true(cur_uv(&c) == v);
            assert_true(cur_sv(&c) == (int64_t)v);
            assert_true(cur_sv(&c) == -(int64_t)(v >> 1));
            assert_true(cur_done(&c));
        }
    buf_clear(&b);
    buf_uv(&b, UINT64_MAX);
    assert_int_equal(b.len, 10);
    buf_clear(&b);
    buf_sv(&b, INT64_MIN);
    assert_true(cur_sv(&(struct cursor){(uint8_t *)b.p, (uint8_t *)b.p + b.len, false}) ==
                INT64_MIN);
}

static void varints_that_do_not_fit_are_bad(void **state)
{
    static const struct {
        const char *what, *bytes;
        size_t len;
    } damage[] = {
        {"nothing", "", 0},
        {"cut off", "\x80", 1},
        {"cut off after nine bytes", "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9},
        {"bit 64", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},
        {"eleven bytes", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(damage); i++) {
        struct cursor c = cursor_of(damage[i].bytes, damage[i].len);
        if (cur_uv(&c) != 0 || !c.bad)
            fail_msg("accepted: %s", damage[i].what);
    }
}

static void reading_past_the_end_gives_zero_from_then_on(void **state)
{
    struct cursor c = cursor_of("\x01\x02\x03", 3);
    size_t len;

    (void)state;
    assert_int_equal(cur_u16(&c), 0x0201);
    assert_int_equal(cur_u16(&c), 0);
    assert_true(c.bad);
    assert_int_equal(cur_u8(&c), 0); /* although one byte is left */
    assert_null(cur_bytes(&c, 0));
    assert_int_equal(cur_uv(&c), 0);
    assert_null(cur_blob(&c, &len));
    assert_int_equal(len, 0);
    assert_false(cur_done(&c));
}

static void lengths_are_checked_against_what_is_left(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    struct cursor c;
    size_t len;

    (void)state;
    buf_blob(&b, "abc", 3);
    c = cursor_of(b.p, b.len);
    assert_memory_equal(cur_blob(&c, &len), "abc", 3);
    assert_int_equal(len, 3);
    assert_true(cur_done(&c));
    c = cursor_of(b.p, b.len - 1);
    assert_null(cur_blob(&c, &len));
    assert_true(c.bad);
    buf_clear(&b);
    buf_uv(&b, UINT64_MAX); /* a length that would wrap an address */
    c = cursor_of(b.p, b.len);
    assert_null(cur_blob(&c, &len));
    buf_clear(&b);
    buf_uv(&b, 11);
    c = cursor_of(b.p, b.len);
    assert_int_equal(cur_uv_max(&c, 11), 11);
    c = cursor_of(b.p, b.len);
    assert_int_equal(cur_uv_max(&c, 10), 0);
    assert_true(c.bad);
}

static void text_has_a_limit_and_no_nul_inside(void **state)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    struct cursor c;
    char *text;

    (void)state;
    buf_blob(&b, "name", 4);
    c = cursor_of(b.p, b.len);
    text = cur_text(&c, 4);
    assert_string_equal(text, "name");
    free(text);
    c = cursor_of(b.p, b.len);
    assert_null(cur_text(&c, 3));
    assert_true(c.bad);
    buf_clear(&b);
    buf_blob(&b, "na\0e", 4);
    c = cursor_of(b.p, b.len);
    assert_null(cur_text(&c, 4));
    assert_true(c.bad);
}

static void an_error_gathers_context_and_keeps_its_code(void **state)
{
    struct err err = {0};
    char text[3000];

    (void)state;
    errno = ENOENT;
    assert_int_equal(err_sys(&err, "cannot open \"%s\"", "f"), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(err_context(&err, "restore \"%s\"", "main"), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.msg, "restore \"main\": cannot open \"f\": No such file or directory");
    err_set(&err, ERR_BUSY, "again: %s", err.msg); /* its own message as an argument */
    assert_memory_equal(err.msg, "again: restore \"main\"", 21);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_set(&err, ERR_IO, "%s", text);
    err_context(&err, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_string_equal(err_code_name(err.code), "i/o");
    assert_string_equal(err_code_name((enum err_code)99), "unknown");
    err_clear(&err);
    assert_int_equal(err.code, ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_and_stays_terminated),
        cmocka_unit_test(integers_are_little_endian_and_come_back),
        cmocka_unit_test(varints_of_all_sizes_come_back),
        cmocka_unit_test(varints_that_do_not_fit_are_bad),
        cmocka_unit_test(reading_past_the_end_gives_zero_from_then_on),
        cmocka_unit_test(lengths_are_checked_against_what_is_left),
        cmocka_unit_test(text_has_a_limit_and_no_nul_inside),
        cmocka_unit_test(an_error_gathers_context_and_keeps_its_code),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
