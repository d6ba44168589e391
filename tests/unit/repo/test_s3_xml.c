/* What a store says in XML, and what of it is refused. */
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/store/s3_xml.h"

static void parse(const char *text, struct s3_reply *r)
{
    struct err err = {0};
    OK(s3_xml_parse(text, strlen(text), r, &err), &err);
}

static void an_error_has_code_message_region_and_endpoint(void **state)
{
    AUTO(s3_reply_free) struct s3_reply r = {0};

    (void)state;
    parse("<?xml version=\"1.0\"?>\n<Error><Code>AuthorizationHeaderMalformed</Code>"
          "<Message>expecting &lt;eu&gt;</Message><Region>eu-central-1</Region>"
          "<Endpoint>b.s3.test</Endpoint><RequestId>4442587FB7D0A2F9</RequestId></Error>",
          &r);
    assert_int_equal(r.root, S3_ROOT_ERROR);
    assert_string_equal(r.code, "AuthorizationHeaderMalformed");
    assert_string_equal(r.message, "expecting <eu>");
    assert_string_equal(r.region, "eu-central-1");
    assert_string_equal(r.endpoint, "b.s3.test");
}

static void a_listing_has_objects_and_what_lies_deeper(void **state)
{
    AUTO(s3_reply_free) struct s3_reply r = {0};

    (void)state;
    parse("<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
          "<Name>bucket</Name><Prefix>a/</Prefix><MaxKeys>1000</MaxKeys>"
          "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
          "<NextContinuationToken>1ueGcx&amp;PG+=</NextContinuationToken>"
          "<Contents><Key>a/x%40y</Key><LastModified>2009-10-12T17:50:30.123Z</LastModified>"
          "<ETag>&quot;fba9dede5f27731c9771645a39863328&quot;</ETag><Size>434234</Size>"
          "<Owner><ID>8a6925ce4a</ID><DisplayName>Key</DisplayName></Owner></Contents>"
          "<CommonPrefixes><Prefix>a/b/</Prefix></CommonPrefixes></ListBucketResult>",
          &r);
    assert_int_equal(r.root, S3_ROOT_LIST);
    assert_true(r.truncated);
    assert_string_equal(r.next, "1ueGcx&PG+=");
    assert_int_equal(r.n_items, 2);
    assert_string_equal(r.items[0].key, "a/x@y");
    assert_int_equal(r.items[0].size, 434234);
    assert_int_equal(r.items[0].modified_us, INT64_C(1255369830000000));
    assert_false(r.items[0].is_prefix);
    assert_string_equal(r.items[1].key, "a/b/");
    assert_true(r.items[1].is_prefix);
}

static void keys_are_decoded_only_where_they_are_encoded(void **state)
{
    AUTO(s3_reply_free) struct s3_reply plain = {0};
    AUTO(s3_reply_free) struct s3_reply coded = {0};

    (void)state;
    parse("<ListBucketResult><Contents><Key>a%40b</Key></Contents></ListBucketResult>", &plain);
    assert_string_equal(plain.items[0].key, "a%40b");
    parse("<ListBucketResult><Contents><Key>a%40b%2</Key></Contents><Contents><Key>x%00y%zz</Key>"
          "</Contents><EncodingType>url</EncodingType></ListBucketResult>",
          &coded);
    assert_string_equal(coded.items[0].key, "a@b%2");
    assert_string_equal(coded.items[1].key, "x%00y%zz");
}

static void a_deletion_tells_which_keys_are_left(void **state)
{
    AUTO(s3_reply_free) struct s3_reply r = {0};

    (void)state;
    parse("<DeleteResult><Deleted><Key>gone</Key></Deleted><Error><Key>a</Key>"
          "<Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
          "<Error><Code>InternalError</Code></Error></DeleteResult>",
          &r);
    assert_int_equal(r.root, S3_ROOT_DELETED);
    assert_int_equal(r.n_refusals, 2);
    assert_string_equal(r.refusals[0].key, "a");
    assert_string_equal(r.refusals[0].code, "AccessDenied");
    assert_null(r.refusals[1].key);
    assert_string_equal(r.code, "");
}

static void what_is_not_known_is_passed_over(void **state)
{
    AUTO(s3_reply_free) struct s3_reply r = {0};

    (void)state;
    parse("<html><body><Code>AccessDenied</Code></body></html>", &r);
    assert_int_equal(r.root, S3_ROOT_OTHER);
    assert_string_equal(r.code, "");
}

static void what_is_wrong_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "not XML"},
        {"404 page not found", "not XML"},
        {"<Error><Code>x</Code>", "not XML"},
        {"<Error></Fehler>", "not XML"},
        {"<!DOCTYPE x [<!ENTITY a \"aaaa\">]><Error><Code>&a;</Code></Error>", "document type"},
        {"<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>", "too deeply"},
        {"<ListBucketResult><Contents><Size>12</Size></Contents></ListBucketResult>", "no key"},
        {"<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
         "no number"},
        {"<ListBucketResult><Contents><Key>a</Key><Size>99999999999999999999</Size></Contents>"
         "</ListBucketResult>",
         "no number"},
        {"<ListBucketResult><Contents><LastModified>yesterday</LastModified></Contents>"
         "</ListBucketResult>",
         "time that is none"},
        {"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
         "does not say where"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct s3_reply r = {0};
        struct err err = {0};

        FAILS(s3_xml_parse(cases[i].text, strlen(cases[i].text), &r, &err), &err, ERR_CORRUPT);
        if (strstr(err.msg, cases[i].says) == NULL)
            fail_msg("\"%s\": %s", cases[i].text, err.msg);
    }
}

static void a_text_without_an_end_is_refused(void **state)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct s3_reply r = {0};
    struct err err = {0};

    (void)state;
    buf_adds(&text, "<Error><Message>");
    for (int i = 0; i < 20000; i++)
        buf_adds(&text, "word ");
    buf_adds(&text, "</Message></Error>");
    FAILS(s3_xml_parse(text.p, text.len, &r, &err), &err, ERR_CORRUPT);
    FAILS(s3_xml_parse("", (size_t)S3_XML_MAX + 1, &r, &err), &err, ERR_CORRUPT);
}

static void times_are_read_to_the_second(void **state)
{
    static const struct {
        const char *text;
        int64_t us; /* -1: refused */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:01.999Z", 1000000},
        {"2020-02-29T23:59:59.000Z", INT64_C(1583020799000000)},
        {"2020-02-29T23:59:59", INT64_C(1583020799000000)},
        {"2020-13-01T00:00:00Z", -1},
        {"2020-01-01 00:00:00Z", -1},
        {"2020-01-01T00:00:00+01", -1},
        {"20200101", -1},
        {"", -1},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int64_t us = -1;
        assert_int_equal(s3_time_parse(cases[i].text, &us), cases[i].us >= 0);
        assert_int_equal(us, cases[i].us);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_has_code_message_region_and_endpoint),
        cmocka_unit_test(a_listing_has_objects_and_what_lies_deeper),
        cmocka_unit_test(keys_are_decoded_only_where_they_are_encoded),
        cmocka_unit_test(a_deletion_tells_which_keys_are_left),
        cmocka_unit_test(what_is_not_known_is_passed_over),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(a_text_without_an_end_is_refused),
        cmocka_unit_test(times_are_read_to_the_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
