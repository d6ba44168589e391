/* Which backups and which WAL go: tables of what there is and what is to become of it. */
#include "tests/lib/test.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/expire/retention.h"

#define DAY INT64_C(86400000000)
#define NOW (INT64_C(20000) * DAY)
enum { MAX = 12, SEGMENT = 16 << 20 };
#define SEG(n) ((uint64_t)(n)*SEGMENT)

/* A backup in a table: its type (a small letter: it is damaged), how many days ago it ended
 * (tenths), its base (place in the table), system, start (segment). */
struct row {
    char type;
    int tenths_ago;
    int base; /* -1: none */
    unsigned system, segment;
    bool held;
    int held_tenths; /* until so many tenths of a day from now; 0: without an end */
};
#define B(type, ago, base)              \
    {                                   \
        type, ago, base, 0, 0, false, 0 \
    }
#define S(type, ago, base, system, segment)        \
    {                                              \
        type, ago, base, system, segment, false, 0 \
    }
#define H(type, ago, base, system, segment, until)    \
    {                                                 \
        type, ago, base, system, segment, true, until \
    }
struct backups {
    struct pubinfo pubs[MAX];
    struct wal_span spans[MAX];
    struct retention_item items[MAX];
    size_t n;
};

static void any_label(char out[LABEL_SIZE + 1], size_t i, char type)
{
    /* labels say nothing of the order: the first in the table has the greatest */
    snprintf(out, LABEL_SIZE + 1, "20260102T030405Z-%c-%06x", type, (unsigned)(0xff - i));
}

static void make(struct backups *b, const struct row *rows, size_t n)
{
    *b = (struct backups){.n = n};
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        struct pubinfo *p = &b->pubs[i];

        p->type = (enum backup_type)toupper(r->type);
        any_label(p->label, i, r->type);
        if (r->base >= 0)
            any_label(p->base, (size_t)r->base, rows[r->base].type);
        p->system_id = r->system;
        p->pg_version = 150004;
        p->stop_us = NOW - r->tenths_ago * DAY / 10;
        p->start_us = p->stop_us - 1000000;
        p->timeline = 1;
        p->wal_segment_size = SEGMENT;
        p->start_lsn = SEG(r->segment) + 40;
        p->stop_lsn = SEG(r->segment) + 400;
        b->spans[i] = (struct wal_span){1, p->start_lsn, p->stop_lsn};
        p->spans = &b->spans[i];
        p->n_spans = 1;
        b->items[i] = (struct retention_item){
            .pub = p,
            .harmed = islower(r->type) != 0,
            .held = r->held,
            .held_until_us = r->held_tenths != 0 ? NOW + r->held_tenths * DAY / 10 : 0,
            .note = "audit"};
    }
}

static const char *verdicts(const struct backups *b)
{
    static char text[MAX + 1];

    for (size_t i = 0; i < b->n; i++)
        text[i] = "khe"[b->items[i].verdict];
    text[b->n] = '\0';
    return text;
}

struct policy_case {
    const char *name;
    struct retention_policy policy;
    struct row rows[MAX];
    const char *wanted; /* k kept, h held, e expired; in the order of the rows */
};
#define COUNT(n)    \
    {               \
        .full = (n) \
    }
#define DAYS(n)                                  \
    {                                            \
        .full_type = RETENTION_TIME, .full = (n) \
    }

static const struct policy_case cases[] = {
    {"nothing configured keeps all", {0}, {B('F', 900, -1), B('I', 890, 0), B('F', 10, -1)}, "kkk"},
    {"fewer than wanted", COUNT(3), {B('F', 900, -1), B('F', 10, -1)}, "kk"},
    {"the newest by count", COUNT(2), {B('F', 30, -1), B('F', 20, -1), B('F', 10, -1)}, "ekk"},
    {"by time, not by their order or label",
     COUNT(1),
     {B('F', 10, -1), B('F', 30, -1), B('F', 20, -1)},
     "kee"},
    {"a chain goes with its full",
     COUNT(1),
     {B('F', 50, -1), B('I', 45, 0), B('I', 40, 1), B('D', 35, 0), B('F', 30, -1), B('I', 25, 4)},
     "eeeekk"},
    {"a young increment of an old full goes with it",
     COUNT(1),
     {B('F', 50, -1), B('F', 30, -1), B('I', 10, 0)},
     "eke"},
    {"days", DAYS(3), {B('F', 80, -1), B('F', 50, -1), B('F', 20, -1)}, "ekk"},
    {"days: what covers the beginning stays, and no more",
     DAYS(3),
     {B('F', 90, -1), B('I', 85, 0), B('F', 40, -1), B('I', 35, 2), B('F', 20, -1)},
     "eekkk"},
    {"days: exactly as old covers", DAYS(3), {B('F', 40, -1), B('F', 30, -1)}, "ek"},
    {"days: just too young does not cover", DAYS(3), {B('F', 40, -1), B('F', 29, -1)}, "kk"},
    {"days: the last full stays, however old", DAYS(3), {B('F', 9000, -1)}, "k"},
    {"days: after a long pause the newest stays",
     DAYS(3),
     {B('F', 9000, -1), B('F', 8000, -1)},
     "ek"},
    {"a future full does not count", COUNT(1), {B('F', 20, -1), B('F', -9000, -1)}, "kk"},
    {"a future full does not count among two",
     COUNT(2),
     {B('F', 40, -1), B('F', 30, -1), B('F', 20, -1), B('F', -20, -1), B('I', -10, 3)},
     "ekkkk"},
    {"days: a future full covers nothing", DAYS(3), {B('F', 50, -1), B('F', -9000, -1)}, "kk"},
    {"increments dated in the future go with their full",
     COUNT(1),
     {B('F', 50, -1), B('I', -30, 0), B('F', 10, -1)},
     "eek"},
    {"systems are one row in time",
     COUNT(2),
     {S('F', 40, -1, 1, 0), S('F', 30, -1, 1, 0), S('F', 20, -1, 2, 0)},
     "ekk"},
    {"a base of another system is none",
     COUNT(1),
     {S('F', 40, -1, 1, 0), S('F', 20, -1, 2, 0), S('I', 10, 0, 2, 0)},
     "ekk"},
    {"differentials",
     {.full = 2, .diff = 1},
     {B('F', 60, -1), B('D', 50, 0), B('I', 45, 1), B('D', 40, 0), B('I', 35, 3)},
     "keekk"},
    {"a newer full stands for a differential",
     {.full = 2, .diff = 1},
     {B('F', 60, -1), B('D', 50, 0), B('I', 45, 0), B('F', 40, -1)},
     "kekk"},
    {"differentials never take a full",
     {.full = 5, .diff = 1},
     {B('F', 60, -1), B('F', 50, -1), B('D', 40, 1)},
     "kkk"},
    {"differentials without a rule for fulls",
     {.diff = 1},
     {B('F', 60, -1), B('D', 50, 0), B('D', 40, 0)},
     "kek"},
    {"a held full stays, its chain does not",
     COUNT(1),
     {H('F', 50, -1, 1, 0, 0), B('I', 45, 0), B('F', 30, -1)},
     "hek"},
    {"a held increment stays without its full",
     COUNT(1),
     {B('F', 50, -1), H('I', 45, 0, 0, 0, 0), B('F', 30, -1)},
     "ehk"},
    {"a hold that has ended", COUNT(1), {H('F', 50, -1, 1, 0, -1), B('F', 30, -1)}, "ek"},
    {"a hold with an end", COUNT(1), {H('F', 50, -1, 1, 0, 1), B('F', 30, -1)}, "hk"},
    {"a held one among those that stay is none more",
     COUNT(2),
     {B('F', 50, -1), H('F', 40, -1, 1, 0, 0), B('F', 30, -1)},
     "ekk"},
    {"a damaged full does not count", COUNT(1), {B('F', 30, -1), B('f', 20, -1)}, "kk"},
    {"a damaged full does not count among two",
     COUNT(2),
     {B('F', 50, -1), B('F', 40, -1), B('f', 30, -1), B('i', 25, 2), B('F', 20, -1)},
     "ekkkk"},
    {"a damaged full goes when enough that are newer are kept",
     COUNT(2),
     {B('f', 50, -1), B('i', 45, 0), B('F', 40, -1), B('F', 30, -1)},
     "eekk"},
    {"days: a damaged full covers nothing",
     DAYS(3),
     {B('F', 90, -1), B('f', 50, -1), B('F', 20, -1)},
     "kkk"},
    {"days: a damaged full is covered as others are",
     DAYS(3),
     {B('f', 90, -1), B('F', 50, -1), B('F', 20, -1)},
     "ekk"},
    {"a damaged differential stands for no other",
     {.full = 2, .diff = 1},
     {B('F', 60, -1), B('D', 50, 0), B('d', 40, 0)},
     "kkk"},
    {"a damaged differential goes as others do",
     {.full = 2, .diff = 1},
     {B('F', 60, -1), B('d', 50, 0), B('D', 40, 0)},
     "kek"},
    {"a ring of bases is no chain",
     COUNT(1),
     {B('I', 50, 1), B('I', 40, 0), B('F', 30, -1)},
     "eek"},
    {"a ring younger than the full stays",
     COUNT(1),
     {B('I', 20, 1), B('I', 10, 0), B('F', 30, -1)},
     "kkk"},
};

static size_t rows_of(const struct policy_case *c)
{
    return strlen(c->wanted);
}

static void the_policy_says_what_goes(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct backups b;

        make(&b, cases[i].rows, rows_of(&cases[i]));
        retention_judge(&cases[i].policy, NOW, b.items, b.n);
        if (strcmp(verdicts(&b), cases[i].wanted) != 0)
            fail_msg("%s: %s, wanted %s", cases[i].name, verdicts(&b), cases[i].wanted);
        retention_items_clear(b.items, b.n);
    }
}

static void each_backup_is_told_why_and_what_stays_until_when(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct backups b;

        make(&b, cases[i].rows, rows_of(&cases[i]));
        retention_judge(&cases[i].policy, NOW, b.items, b.n);
        for (size_t k = 0; k < b.n; k++) {
            assert_non_null(b.items[k].reason);
            assert_true((b.items[k].until != NULL) == (b.items[k].verdict != RETENTION_EXPIRE));
        }
        retention_items_clear(b.items, b.n);
    }
}

static void says(const char *text, const char *part)
{
    if (text == NULL || strstr(text, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static void the_date_is_told_where_there_is_one(void **state)
{
    static const struct row rows[] = {B('F', 50, -1), B('I', 45, 0), B('F', 20, -1)};
    const struct retention_policy policy = DAYS(14), two = COUNT(2);
    struct backups b;

    (void)state;
    make(&b, rows, 3);
    retention_judge(&policy, NOW, b.items, b.n);
    assert_true(b.items[0].until_us == NOW - 2 * DAY + 14 * DAY);
    says(b.items[0].until, "2024-10-16 00:00:00+00"); /* day 20000 is 2024-10-04 */
    assert_true(b.items[1].until_us == b.items[0].until_us);
    says(b.items[1].until, "with it");
    assert_true(b.items[2].until_us == 0);
    says(b.items[2].until, "14 days after the next full backup");
    retention_items_clear(b.items, b.n);
    make(&b, rows, 3);
    retention_judge(&two, NOW, b.items, b.n);
    says(b.items[0].reason, "full backup 2 of the 2");
    says(b.items[0].until, "after 1 more full backup");
    says(b.items[2].until, "after 2 more full backups");
    retention_items_clear(b.items, b.n);
}

/* The longer the time, the less is kept, and never nothing: whatever was expired at one moment is
 * expired at every later one, and what covers the window is always there. */
static void a_window_of_days_is_always_covered(void **state)
{
    const struct retention_policy policy = DAYS(7);

    (void)state;
    for (unsigned seed = 1; seed < 400; seed++) {
        struct row rows[8];
        struct backups b;
        bool covered = false, older = false;

        for (unsigned i = 0; i < 8; i++)
            rows[i] = (struct row)H('F', (int)((seed * 7919 + i * 104729) % 300), -1, 0, 0, 0);
        make(&b, rows, 8);
        retention_judge(&policy, NOW, b.items, b.n);
        for (size_t i = 0; i < 8; i++) {
            bool before = b.pubs[i].stop_us <= NOW - 7 * DAY;

            older |= before;
            covered |= before && b.items[i].verdict == RETENTION_KEEP;
            assert_true(before || b.items[i].verdict == RETENTION_KEEP);
        }
        assert_true(covered == older);
        retention_items_clear(b.items, b.n);
    }
}

/* ---- WAL ---- */

static const struct wal_case {
    const char *name;
    struct retention_policy policy;
    struct row rows[MAX];
    size_t n;
    unsigned system;
    const char *segments; /* of segments 0 to 9 those that go: "-", that stay: "+" */
} wal_cases[] = {
    {"without a policy all stays", {0}, {S('F', 50, -1, 1, 5)}, 1, 1, "++++++++++"},
    {"without a backup all stays", COUNT(9), {B('F', 0, -1)}, 0, 1, "++++++++++"},
    {"with one of another system only", COUNT(9), {S('F', 50, -1, 2, 5)}, 1, 1, "++++++++++"},
    {"what is before the only backup goes", COUNT(9), {S('F', 50, -1, 1, 5)}, 1, 1, "-----+++++"},
    {"the smallest start counts, not the oldest backup",
     COUNT(9),
     {S('F', 50, -1, 1, 6), S('F', 40, -1, 1, 3)},
     2,
     1,
     "---+++++++"},
    {"those that go do not count",
     COUNT(1),
     {S('F', 50, -1, 1, 2), S('F', 40, -1, 1, 5)},
     2,
     1,
     "-----+++++"},
    {"a held one keeps what it needs",
     COUNT(1),
     {H('F', 50, -1, 1, 2, 0), S('F', 40, -1, 1, 5)},
     2,
     1,
     "--+--+++++"},
    {"with held ones only all stays",
     COUNT(1),
     {H('F', 50, -1, 1, 4, 0), S('F', 40, -1, 2, 5)},
     2,
     1,
     "++++++++++"},
    {"WAL of one full",
     {.archive = 1, .archive_type = BACKUP_FULL},
     {S('F', 50, -1, 1, 1), S('I', 45, 0, 1, 3), S('F', 40, -1, 1, 5), S('I', 35, 2, 1, 7)},
     4,
     1,
     "-+-+-+++++"},
    {"of one full that is not damaged",
     {.archive = 1, .archive_type = BACKUP_FULL},
     {S('F', 50, -1, 1, 1), S('F', 40, -1, 1, 5), S('f', 30, -1, 1, 7)},
     3,
     1,
     "-+---+++++"},
    {"of one increment",
     {.archive = 1, .archive_type = BACKUP_INCR},
     {S('F', 50, -1, 1, 1), S('I', 45, 0, 1, 3), S('F', 40, -1, 1, 5), S('I', 35, 2, 1, 7)},
     4,
     1,
     "-+-+-+-+++"},
    {"of two differentials, fulls among them",
     {.archive = 2, .archive_type = BACKUP_DIFF},
     {S('F', 50, -1, 1, 1), S('D', 45, 0, 1, 3), S('I', 44, 1, 1, 4), S('F', 40, -1, 1, 6)},
     4,
     1,
     "-+-+++++++"},
    {"of more than there are",
     {.archive = 5, .archive_type = BACKUP_FULL},
     {S('F', 50, -1, 1, 3), S('F', 40, -1, 1, 5)},
     2,
     1,
     "---+++++++"},
};

static void the_policy_says_which_wal_goes(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(wal_cases); i++) {
        const struct wal_case *c = &wal_cases[i];
        const struct identity id = {c->system, 15};
        struct retention_wal w;
        struct backups b;
        char got[11] = "";

        make(&b, c->rows, c->n);
        retention_judge(&c->policy, NOW, b.items, b.n);
        retention_judge_wal(&c->policy, &id, b.items, b.n, &w);
        for (unsigned s = 0; s < 10; s++)
            got[s] = "+-"[retention_wal_goes(&w, s)];
        if (strcmp(got, c->segments) != 0)
            fail_msg("%s: %s, wanted %s", c->name, got, c->segments);
        assert_non_null(w.stays);
        retention_wal_clear(&w);
        retention_items_clear(b.items, b.n);
    }
}

static void backups_that_differ_in_segment_size_keep_all_wal(void **state)
{
    static const struct row rows[] = {S('F', 50, -1, 1, 5), S('F', 40, -1, 1, 6)};
    const struct retention_policy policy = COUNT(9);
    const struct identity id = {1, 15};
    struct retention_wal w;
    struct backups b;

    (void)state;
    make(&b, rows, 2);
    b.pubs[1].wal_segment_size = 1 << 20;
    retention_judge(&policy, NOW, b.items, b.n);
    retention_judge_wal(&policy, &id, b.items, b.n, &w);
    assert_false(retention_wal_goes(&w, 0));
    says(w.stays, "do not agree");
    retention_wal_clear(&w);
    retention_items_clear(b.items, b.n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_says_what_goes),
        cmocka_unit_test(each_backup_is_told_why_and_what_stays_until_when),
        cmocka_unit_test(the_date_is_told_where_there_is_one),
        cmocka_unit_test(a_window_of_days_is_always_covered),
        cmocka_unit_test(the_policy_says_which_wal_goes),
        cmocka_unit_test(backups_that_differ_in_segment_size_keep_all_wal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
