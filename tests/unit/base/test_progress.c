#include "tests/lib/test.h"

#include "base/progress.h"

static void a_line_says_how_far_it_is(void **state)
{
    static const struct {
        uint64_t bytes, bytes_total, files, files_total;
        int64_t elapsed_us;
        const char *line;
    } cases[] = {
        {3200000000, 7600000000, 812, 1204, 5000000,
         "backup: 3.2 of 7.6 GB, 812 of 1,204 files, 640 MB/s, 00:06 left"},
        {640000000, 7600000000, 1000, 1234567, 1000000,
         "backup: 640 MB of 7.6 GB, 1,000 of 1,234,567 files, 640 MB/s, 00:10 left"},
        {7600000000, 7600000000, 5, 5, 10000000, "backup: 7.6 of 7.6 GB, 5 of 5 files, 760 MB/s"},
        {5000, 0, 7, 0, 1000000, "backup: 5.0 kB, 7 files, 5.0 kB/s"},
        {0, 0, 0, 0, 0, "backup: 0 B, 0 files"},
        {0, 5000, 0, 3, 9000000, "backup: 0 B of 5.0 kB, 0 of 3 files"},
        {9000, 5000, 4, 3, 1000000, "backup: 9.0 of 5.0 kB, 4 of 3 files, 9.0 kB/s"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf line = BUF_INIT;
        struct progress p;
        progress_begin(&p, "backup", PROGRESS_QUIET);
        p.bytes_done = cases[i].bytes;
        p.bytes_total = cases[i].bytes_total;
        p.files_done = cases[i].files;
        p.files_total = cases[i].files_total;
        progress_line(&p, cases[i].elapsed_us, &line);
        assert_string_equal(line.p, cases[i].line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_how_far_it_is),
    };
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
