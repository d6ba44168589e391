/* fuzz_wal_record.c - the body of one WAL record: version, resource manager, info, then bytes. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "postgres/wal_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const struct wal_record *rec, unsigned major)
{
    struct wal_decoded d;
    struct wal_xact x;
    struct wal_smgr s;
    struct wal_event e;
    struct err err;

    if (wal_decode(rec, major, &d, &err) != 0)
        return;
    if (wal_xact_parse(rec, &d, major, &x, &err) == 0) {
        for (uint32_t i = 0; i < x.n_dropped; i++)
            wal_locator_at(x.dropped, i);
        if (x.n_subxacts > 0)
            get_u32(x.subxacts + (size_t)(x.n_subxacts - 1) * 4);
        if (x.gid != NULL)
            (void)strlen(x.gid);
    }
    if (wal_smgr_parse(rec, &d, &s, &err) != 0)
        err_clear(&err);
    if (wal_event_parse(rec, &d, major, &e, &err) == 0 && e.n_spc > 0)
        get_u32(e.spcs + (size_t)(e.n_spc - 1) * 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(mem_free) uint8_t *bytes = NULL;
    struct wal_record rec = {.lsn = 0x1000028};
    unsigned major;

    if (size < 3)
        return 0;
    major = 13 + data[0] % 6;
    rec.rmid = data[1];
    rec.info = data[2];
    bytes = xcalloc(1, WAL_RECORD_HEADER + size - 3);
    memcpy(bytes + WAL_RECORD_HEADER, data + 3, size - 3);
    rec.bytes = bytes;
    rec.total_len = (uint32_t)(WAL_RECORD_HEADER + size - 3);
    parse(&rec, major);
    return 0;
}
