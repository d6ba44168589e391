/* key_show.c - the key slots of a repository on the screen. See keys.h. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/keys.h"

void keyed_repo_free(struct keyed_repo *k)
{
    repo_close(&k->repo);
    repo_config_free(&k->conf);
}

/* Opened without a key: that the configuration's secret fits nothing is to be shown, not fatal. */
int keyed_repo_open(struct app *app, const struct cluster_config *cluster, const char *name,
                    struct keyed_repo *k, struct err *err)
{
    bool encrypted;

    k->cluster = cluster;
    TRY(config_repo(app->config, cluster, name, &k->conf, err));
    encrypted = k->conf.cipher_type != CONFIG_CIPHER_NONE;
    if (encrypted && config_key_secret(&k->conf, &k->secret, &k->no_secret) != 0)
        k->secret = (struct key_secret){0};
    TRY(config_open_repo(app->config, cluster, name, REPO_OPEN_NO_KEY, &k->repo, err));
    if (!encrypted)
        return 0;
    return key_slots_list(k->repo, k->no_secret.code == ERR_NONE ? &k->secret : NULL, &k->slots,
                          err);
}

const char *slot_opener(const struct key_slot_facts *facts)
{
    return facts->kdf == KDF_FILE ? "key file" : "passphrase";
}

const char *slot_parameters(const struct key_slot_facts *facts, char out[96])
{
    if (facts->kdf == KDF_SCRYPT)
        snprintf(out, 96, "scrypt, N %llu, r %u, p %u", (unsigned long long)facts->n, facts->r,
                 facts->p);
    else if (facts->kdf == KDF_PBKDF2)
        snprintf(out, 96, "PBKDF2, %u iterations", facts->iterations);
    else
        snprintf(out, 96, "HKDF");
    return out;
}

static size_t count(const struct key_slots *slots, enum key_slot_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < slots->n; i++)
        n += slots->items[i].state == state;
    return n;
}

bool keys_are_well(const struct keyed_repo *k)
{
    return !repo_encrypted(k->repo) ||
           (count(&k->slots, KEY_SLOT_OPENS) != 0 && count(&k->slots, KEY_SLOT_DAMAGED) == 0);
}

static const char *created(const struct key_slot *s, char out[40])
{
    if (s->facts.created_us == 0)
        return memcpy(out, "-", sizeof "-");
    return clock_format_utc(s->facts.created_us / 1000000 * 1000000, out);
}

static void show_slot(const struct key_slot *s)
{
    char when[40], parameters[96];

    if (s->state == KEY_SLOT_DAMAGED)
        printf("  %08x  DAMAGED: %s\n", s->number, s->why.msg);
    else
        printf("  %08x  %-10s  %-22s  %-26s  %s\n", s->number, slot_opener(&s->facts),
               created(s, when), slot_parameters(&s->facts, parameters),
               s->state == KEY_SLOT_OPENS ? "opens" : "-");
}

void keys_show(const struct keyed_repo *k)
{
    const struct key_slots *slots = &k->slots;

    printf("repository \"%s\" (%s): ", repo_name(k->repo), store_where(repo_store(k->repo)));
    if (!repo_encrypted(k->repo)) {
        printf("not encrypted, it has no keys\n");
        return;
    }
    printf("%zu key slot%s\n", slots->n, slots->n == 1 ? "" : "s");
    printf("  slot      opened by   created                 key derivation              "
           "this configuration\n");
    for (size_t i = 0; i < slots->n; i++)
        show_slot(&slots->items[i]);
    if (slots->more != 0)
        printf("  %zu more are never tried\n", slots->more);
    if (k->no_secret.code != ERR_NONE)
        printf("  the configuration has no secret: %s\n", k->no_secret.msg);
    else if (count(slots, KEY_SLOT_OPENS) == 0)
        printf("  the configuration's %s opens none of them%s%s\n",
               k->secret.key_file != NULL ? "key file" : "passphrase",
               slots->n != 0 && slots->items[0].why.code != ERR_NONE ? ": " : "",
               slots->n != 0 ? slots->items[0].why.msg : "");
}

static void json_slot(struct json *j, const struct key_slot *s)
{
    static const char *const states[] = {
        [KEY_SLOT_SHUT] = "shut", [KEY_SLOT_OPENS] = "opens", [KEY_SLOT_DAMAGED] = "damaged"};
    char number[16], parameters[96];

    snprintf(number, sizeof number, "%08x", s->number);
    json_open(j, NULL, '{');
    json_text(j, "slot", number);
    json_text(j, "state", states[s->state]);
    if (s->state != KEY_SLOT_DAMAGED) {
        json_text(j, "opened_by", slot_opener(&s->facts));
        json_text(j, "derivation", slot_parameters(&s->facts, parameters));
        json_time(j, "created", s->facts.created_us);
    }
    json_text(j, "why", s->why.code != ERR_NONE ? s->why.msg : NULL);
    json_close(j, '}');
}

void keys_json(struct json *j, const struct keyed_repo *k)
{
    json_open(j, NULL, '{');
    json_text(j, "repo", repo_name(k->repo));
    json_text(j, "where", store_where(repo_store(k->repo)));
    json_bool(j, "encrypted", repo_encrypted(k->repo));
    json_open(j, "slots", '[');
    for (size_t i = 0; i < k->slots.n; i++)
        json_slot(j, &k->slots.items[i]);
    json_close(j, ']');
    json_close(j, '}');
}
