#include "postgres/version.h"

#include <string.h>

#include "base/auto.h"

static const struct pg_version versions[] = {
    {13, 1300, 202007201, 0xD106, "PG_13_202007201"},
    {14, 1300, 202107181, 0xD10D, "PG_14_202107181"},
    {15, 1300, 202209061, 0xD110, "PG_15_202209061"},
    {16, 1300, 202307071, 0xD113, "PG_16_202307071"},
    {17, 1700, 202406281, 0xD116, "PG_17_202406281"},
    {18, 1800, 202506291, 0xD118, "PG_18_202506291"},
};

const struct pg_version *pg_version_by_major(unsigned major)
{
    if (major < PG_MAJOR_MIN || major > PG_MAJOR_MAX)
        return NULL;
    return &versions[major - PG_MAJOR_MIN];
}

const struct pg_version *pg_version_by_control(uint32_t control_version, uint32_t catalog_version)
{
    for (size_t i = 0; i < LENGTH(versions); i++)
        if (versions[i].control_version == control_version &&
            versions[i].catalog_version == catalog_version)
            return &versions[i];
    return NULL;
}

const struct pg_version *pg_version_by_magic(uint16_t wal_magic)
{
    for (size_t i = 0; i < LENGTH(versions); i++)
        if (versions[i].wal_magic == wal_magic)
            return &versions[i];
    return NULL;
}

const struct pg_version *pg_version_by_dir(const char *tablespace_dir)
{
    for (size_t i = 0; i < LENGTH(versions); i++)
        if (strcmp(versions[i].tablespace_dir, tablespace_dir) == 0)
            return &versions[i];
    return NULL;
}

const char *pg_versions_known(void)
{
    return "13, 14, 15, 16, 17 and 18";
}
