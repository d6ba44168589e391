/* fuzz_s3_xml.c - any bytes as what an object store answers; the header lines of an answer too. */
#include <stdlib.h>
#include <string.h>

#include "repo/store/s3_http.h"
#include "repo/store/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct s3_reply *r)
{
    for (size_t i = 0; i < r->n_items; i++)
        if (r->items[i].key == NULL)
            abort();
    if (r->truncated && r->next == NULL)
        abort();
    if (memchr(r->code, '\0', sizeof r->code) == NULL ||
        memchr(r->message, '\0', sizeof r->message) == NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct s3_reply reply = {0};
    struct http_answer answer = {.status = 200};
    struct err err = {0};

    if (s3_xml_parse(data, size, &reply, &err) == 0)
        check(&reply);
    s3_reply_free(&reply);
    http_header(&answer, (const char *)data, size);
    http_answer_free(&answer);
    return 0;
}
