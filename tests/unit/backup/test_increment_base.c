/* test_increment_base.c - a base that is missing or damaged. */
#include "tests/unit/backup/increment_world.h"

/* ---- a base that cannot be used ---- */

static void a_base_that_is_not_there_ends_the_attempt(void **state)
{
    struct world *w = *state;
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 100);
    back_up(w);
    next_attempt(w);
    w->a.base = SAMPLE_OLDER;
    FAILS(attempt_list(&w->a, &err), &err, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(a_base_that_is_not_there_ends_the_attempt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
