/* What is read from the header of an answer. */
#include "tests/lib/test.h"

#include <string.h>

#include "repo/store/s3_http.h"

static void read_all(struct http_answer *a, const char *const *lines)
{
    *a = (struct http_answer){0};
    for (; *lines != NULL; lines++)
        http_header(a, *lines, strlen(*lines));
}

static void an_answer_is_read(void **state)
{
    static const char *const lines[] = {"HTTP/1.1 206 Partial Content\r\n",
                                        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                                        "Last-Modified:Sat, 29 Feb 2020 23:59:59 GMT\r\n",
                                        "content-range: bytes 100-199/1234\r\n",
                                        "Content-Length: 100\r\n",
                                        "x-amz-bucket-region:  eu-central-1 \r\n",
                                        "X-Amz-Request-Id: 4442587FB7D0A2F9\r\n",
                                        "\r\n",
                                        NULL};
    struct http_answer a;

    (void)state;
    read_all(&a, lines);
    assert_int_equal(a.status, 206);
    assert_int_equal(a.date_us, INT64_C(784111777000000));
    assert_int_equal(a.modified_us, INT64_C(1583020799000000));
    assert_true(a.has_size);
    assert_int_equal(a.size, 1234); /* of the object, not of the answer */
    assert_int_equal(a.first, 100);
    assert_string_equal(a.region, "eu-central-1");
    assert_string_equal(a.request_id, "4442587FB7D0A2F9");
}

static void what_came_before_the_status_does_not_count(void **state)
{
    static const char *const lines[] = {
        "HTTP/1.1 100 Continue\r\n", "x-amz-bucket-region: here\r\n", "\r\n",
        "HTTP/1.1 200 OK\r\n",       "Content-Length: 7\r\n",         NULL};
    struct http_answer a;

    (void)state;
    read_all(&a, lines);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.size, 7);
    assert_string_equal(a.region, "");
}

static void sizes_that_are_none_are_not_taken(void **state)
{
    static const struct {
        const char *line;
        bool has_size;
        uint64_t size;
    } cases[] = {
        {"Content-Range: bytes */1234", true, 1234},
        {"Content-Range: bytes 0-9/*", false, 0},
        {"Content-Range: bytes 0-/10", false, 0},
        {"Content-Range: bytes -9/10", false, 0},
        {"Content-Range: items 0-9/10", false, 0},
        {"Content-Range: bytes 0-9/99999999999999999999", false, 0},
        {"Content-Range: bytes", false, 0},
        {"Content-Range:", false, 0},
        {"Content-Length: -1", false, 0},
        {"Content-Length: ten", false, 0},
        {"Content-Length", false, 0},
        {"Content-Length: 10", true, 10},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const char *const lines[] = {"HTTP/1.1 200 OK", cases[i].line, NULL};
        struct http_answer a;

        read_all(&a, lines);
        if (a.has_size != cases[i].has_size || a.size != cases[i].size)
            fail_msg("%s: %d %llu", cases[i].line, a.has_size, (unsigned long long)a.size);
    }
}

static void dates_that_are_none_are_not_taken(void **state)
{
    static const char *const bad[] = {"Date: yesterday", "Date: Sun, 06 Foo 1994 08:49:37 GMT",
                                      "Date: 1994-11-06T08:49:37Z",
                                      "Date: Sun, 06 anF 1994 08:49:37 GMT", "Date:"};

    (void)state;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        const char *const lines[] = {"HTTP/1.1 200 OK", bad[i], NULL};
        struct http_answer a;

        read_all(&a, lines);
        assert_int_equal(a.date_us, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_read),
        cmocka_unit_test(what_came_before_the_status_does_not_count),
        cmocka_unit_test(sizes_that_are_none_are_not_taken),
        cmocka_unit_test(dates_that_are_none_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
