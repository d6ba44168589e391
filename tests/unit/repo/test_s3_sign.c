/* Signatures: AWS's published examples, and an independent signer over random requests. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "repo/store/s3_sign.h"

static const char key[] = "AKIAIOSFODNN7EXAMPLE",
                  secret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                  date[] = "20130524T000000Z", host[] = "examplebucket.s3.amazonaws.com",
                  empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void signature_is(const struct s3_request_text *r, const char *headers, const char *expected)
{
    const struct s3_scope scope = {key, secret, "us-east-1", "s3", date};
    AUTO(buf_free) struct buf got = BUF_INIT;
    AUTO(mem_free)
    char *wanted =
        xasprintf("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                  "aws4_request,SignedHeaders=%s,Signature=%s",
                  headers, expected);

    s3_authorization(&got, r, &scope);
    assert_string_equal(buf_text(&got), wanted);
}

/* AWS, "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk
 * (AWS Signature Version 4)", Examples. */
static void published_get_of_an_object(void **state)
{
    const struct s3_pair headers[] = {{"x-amz-date", date},
                                      {"host", host},
                                      {"range", "bytes=0-9"},
                                      {"x-amz-content-sha256", empty}};
    const struct s3_request_text r = {.method = "GET",
                                      .path = "/test.txt",
                                      .headers = headers,
                                      .n_headers = LENGTH(headers),
                                      .payload = empty};
    AUTO(buf_free) struct buf canonical = BUF_INIT;

    (void)state;
    s3_canonical(&canonical, &r);
    assert_string_equal(buf_text(&canonical),
                        "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\n"
                        "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495"
                        "991b7852b855\nx-amz-date:20130524T000000Z\n\nhost;range;x-amz-content-sha2"
                        "56;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b78"
                        "52b855");
    signature_is(&r, "host;range;x-amz-content-sha256;x-amz-date",
                 "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void published_put_of_an_object(void **state)
{
    char hash[S3_HASH_TEXT];
    const struct s3_pair headers[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                      {"host", host},
                                      {"x-amz-content-sha256", hash},
                                      {"x-amz-date", date},
                                      {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    const struct s3_request_text r = {.method = "PUT",
                                      .path = "/test$file.text",
                                      .headers = headers,
                                      .n_headers = LENGTH(headers),
                                      .payload = hash};

    (void)state;
    s3_hash("Welcome to Amazon S3.", 21, hash);
    assert_string_equal(hash, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
    signature_is(&r, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                 "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void published_get_of_a_bucket(void **state)
{
    static const struct s3_pair lifecycle[] = {{"lifecycle", ""}};
    static const struct s3_pair list[] = {{"prefix", "J"}, {"max-keys", "2"}};
    const struct s3_pair headers[] = {
        {"host", host}, {"x-amz-content-sha256", empty}, {"x-amz-date", date}};
    struct s3_request_text r = {.method = "GET",
                                .path = "/",
                                .query = lifecycle,
                                .n_query = LENGTH(lifecycle),
                                .headers = headers,
                                .n_headers = LENGTH(headers),
                                .payload = empty};

    (void)state;
    signature_is(&r, "host;x-amz-content-sha256;x-amz-date",
                 "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    r.query = list;
    r.n_query = LENGTH(list);
    signature_is(&r, "host;x-amz-content-sha256;x-amz-date",
                 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* ---- against AWS::Signature4 ---- */

enum { REQUESTS = 200 };

static uint32_t dice;

static unsigned throw_dice(unsigned sides)
{
    dice = dice * 1664525 + 1013904223;
    return (dice >> 8) % sides;
}

static char *random_text(const char *letters, unsigned max)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    for (unsigned n = 1 + throw_dice(max); n != 0; n--)
        buf_addc(&b, letters[throw_dice((unsigned)strlen(letters))]);
    return buf_steal(&b);
}

/* One random request, signed by us, and written down for the other signer. */
static void make_request(FILE *to, char *signature)
{
    static const char *const methods[] = {"GET", "PUT", "POST", "DELETE", "HEAD"};
    static const char *const names[] = {"list-type", "prefix", "delete", "continuation-token"};
    static const char *const regions[] = {"us-east-1", "eu-central-1", "minio"};
    AUTO(mem_free) char *tail = random_text("abcXYZ019-._@/+ &=%$:,", 60);
    AUTO(mem_free) char *path = xasprintf("/bucket/%s", tail);
    char *values[LENGTH(names)];
    struct s3_pair query[LENGTH(names)], headers[6] = {{"host", host}, {"x-amz-date", date}};
    const char *region = regions[throw_dice(LENGTH(regions))];
    const char *payload = throw_dice(2) == 0 ? empty : "UNSIGNED-PAYLOAD";
    struct s3_request_text r = {.method = methods[throw_dice(LENGTH(methods))],
                                .path = path,
                                .query = query,
                                .n_query = throw_dice(LENGTH(names) + 1),
                                .headers = headers,
                                .payload = payload};
    const struct s3_scope scope = {key, secret, region, "s3", date};
    AUTO(buf_free) struct buf url = BUF_INIT, authorization = BUF_INIT;
    AUTO(mem_free) char *token = random_text("abcXYZ019+/=  ", 200);

    for (size_t i = 0; i < LENGTH(names); i++) {
        values[i] = random_text("abcXYZ019-._@/+ &=%$:,", 40);
        query[i] = (struct s3_pair){names[i], values[i]};
    }
    headers[2] = (struct s3_pair){"x-amz-content-sha256", payload};
    r.n_headers = 3;
    if (throw_dice(2) == 0)
        headers[r.n_headers++] = (struct s3_pair){"x-amz-security-token", token};
    if (throw_dice(2) == 0)
        headers[r.n_headers++] = (struct s3_pair){"if-none-match", "*"};
    s3_authorization(&authorization, &r, &scope);
    memcpy(signature, strstr(buf_text(&authorization), "Signature=") + 10, S3_HASH_TEXT);

    buf_addf(&url, "https://%s", host);
    s3_encode(&url, path, true);
    if (r.n_query != 0) {
        buf_addc(&url, '?');
        s3_query(&url, query, r.n_query);
    }
    fprintf(to, "%s\t%s\t%s\t%s", r.method, buf_text(&url), region, payload);
    for (size_t i = 0; i < r.n_headers; i++)
        fprintf(to, "\t%s=%s", headers[i].name, headers[i].value);
    fputc('\n', to);
    for (size_t i = 0; i < LENGTH(names); i++)
        free(values[i]);
}

static void another_signer_agrees(void **state)
{
    static char ours[REQUESTS][S3_HASH_TEXT];
    char name[] = "/tmp/pgbr-sign.XXXXXX", line[128], command[256];
    int fd = mkstemp(name);
    FILE *file = fdopen(fd, "w"), *theirs;
    int n = 0;

    (void)state;
    assert_non_null(file);
    for (int i = 0; i < REQUESTS; i++)
        make_request(file, ours[i]);
    assert_int_equal(fclose(file), 0);
    snprintf(command, sizeof command, "perl tests/lib/sign.pl '%s' '%s' <%s", key, secret, name);
    theirs = popen(command, "r"); /* NOLINT(cert-env33-c): a test */
    assert_non_null(theirs);
    while (n < REQUESTS && fgets(line, sizeof line, theirs) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        assert_string_equal(ours[n++], line);
    }
    assert_int_equal(pclose(theirs), 0);
    unlink(name);
    assert_int_equal(n, REQUESTS);
}

/* ---- small things ---- */

static void base64_is_as_in_rfc_4648(void **state)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};

    (void)state;
    for (size_t i = 0; i < LENGTH(pairs); i++) {
        AUTO(buf_free) struct buf got = BUF_INIT;
        s3_base64(&got, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(buf_text(&got), pairs[i][1]);
    }
}

static void a_checksum_is_written_as_in_its_header(void **state)
{
    AUTO(buf_free) struct buf got = BUF_INIT;

    (void)state;
    s3_crc32c(&got, "123456789", 9); /* 0xE3069283, see base/hash.h */
    assert_string_equal(buf_text(&got), "4waSgw==");
}

static void dates_are_utc(void **state)
{
    char text[S3_DATE_TEXT];

    (void)state;
    s3_date(INT64_C(1369353600000000), text);
    assert_string_equal(text, date);
    s3_date(INT64_C(1582934400999999), text);
    assert_string_equal(text, "20200229T000000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_get_of_an_object),
        cmocka_unit_test(published_put_of_an_object),
        cmocka_unit_test(published_get_of_a_bucket),
        cmocka_unit_test(another_signer_agrees),
        cmocka_unit_test(base64_is_as_in_rfc_4648),
        cmocka_unit_test(a_checksum_is_written_as_in_its_header),
        cmocka_unit_test(dates_are_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
