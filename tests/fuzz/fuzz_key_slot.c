/*
 * fuzz_key_slot.c - any bytes as the body of a key slot. No secret is given: what is derived from
 * one is not what a fuzzer could find, and scrypt with a gigabyte would take its time.
 */
#include "repo/object/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct key_secret none = {0};
    uint8_t id[REPO_ID_SIZE];
    struct repo_key key;
    struct err err = {0};
    struct key_slot_facts facts;

    if (key_slot_describe(data, size, &facts, &err) == 0 && facts.created_us < 0)
        __builtin_trap();
    if (key_slot_open(data, size, &none, &key, id, &err) == 0)
        __builtin_trap();
    return 0;
}
