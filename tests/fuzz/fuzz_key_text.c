/* fuzz_key_text.c - any text as a recovery sheet; what is accepted is written and read the same. */
#include "repo/object/key_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct repo_key key, again;
    struct err err = {0};

    if (key_text_parse((const char *)data, size, &key, &err) != 0)
        return 0;
    key_text_format(&key, &text);
    if (key_text_parse(text.p, text.len, &again, &err) != 0 ||
        memcmp(&key, &again, sizeof key) != 0)
        __builtin_trap();
    return 0;
}
