/* Any bytes as a configuration file: refused or loaded, and every repository resolved. */
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(config_free) struct config *c = NULL;
    struct err err = {0};

    if (config_parse((const char *)data, size, "fuzz.yml", &c, &err) != 0)
        return 0;
    for (size_t i = 0; i < c->n_clusters; i++) {
        struct cluster_config *cluster = &c->clusters[i];

        for (size_t k = 0; k < cluster->n_repos; k++) {
            AUTO(repo_config_free) struct repo_config r = {0};

            if (config_repo(c, cluster, cluster->repos[k], &r, &err) != 0)
                __builtin_trap(); /* loading promised that it is there */
        }
        if (cluster->n_members != 0)
            cluster_config_be(cluster, cluster->members[0].host);
    }
    return 0;
}
