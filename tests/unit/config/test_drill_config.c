/* What the configuration says about drills. */
#include <string.h>

#include "config/config.h"
#include "tests/lib/test.h"

static const char head[] = "repos: {local: {path: /r}}\nclusters:\n  main:\n    data: /d\n";

static int parse(const char *drill, struct config **c, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;

    buf_addf(&text, "%s%s", head, drill);
    return config_parse(text.p, text.len, "test.yml", c, err);
}

static void without_a_word_there_are_defaults(void **state)
{
    AUTO(config_free) struct config *c = NULL;
    struct err err = {0};
    const struct drill_config *d;
    (void)state;

    OK(parse("", &c, &err), &err);
    d = &c->clusters[0].drill;
    assert_null(d->dir);
    assert_null(d->pg_bin);
    assert_int_equal(d->target, CONFIG_DRILL_LATEST);
    assert_int_equal(d->amcheck, CONFIG_AMCHECK_ON);
    assert_int_equal(d->time_limit_ms, INT64_C(86400000));
    assert_int_equal(d->n_checks, 0);
}

static void all_keys_are_read(void **state)
{
    AUTO(config_free) struct config *c = NULL;
    struct err err = {0};
    const struct drill_config *d;
    (void)state;

    OK(parse("    drill:\n"
             "      dir: /srv/drills\n"
             "      pg_bin: /opt/pg/bin\n"
             "      user: chief\n"
             "      target: random\n"
             "      amcheck: heapallindexed\n"
             "      time_limit: 2 h\n"
             "      checks:\n"
             "        orders: {database: shop, sql: \"select 1\", expect_min: 1000, expect_max: "
             "1e9}\n"
             "        long:\n"
             "          sql: |\n"
             "            select count(*)\n"
             "            from t\n"
             "          expect: true\n",
             &c, &err),
       &err);
    d = &c->clusters[0].drill;
    assert_string_equal(d->dir, "/srv/drills");
    assert_string_equal(d->pg_bin, "/opt/pg/bin");
    assert_string_equal(d->user, "chief");
    assert_int_equal(d->target, CONFIG_DRILL_RANDOM);
    assert_int_equal(d->amcheck, CONFIG_AMCHECK_HEAP);
    assert_int_equal(d->time_limit_ms, INT64_C(7200000));
    assert_int_equal(d->n_checks, 2);
    assert_string_equal(d->checks[0].name, "orders");
    assert_string_equal(d->checks[0].database, "shop");
    assert_string_equal(d->checks[0].expect_min, "1000");
    assert_string_equal(d->checks[1].database, "postgres");
    assert_string_equal(d->checks[1].sql, "select count(*)\nfrom t\n");
    assert_string_equal(d->checks[1].expect, "true");
}

static void what_is_wrong_is_told_with_its_place(void **state)
{
    static const struct {
        const char *drill, *said;
    } cases[] = {
        {"    drill: {dri: /x}\n",
         "unknown key \"dri\" in \"drill\" of cluster \"main\" (did you mean \"dir\"?)"},
        {"    drill: {dir: x}\n", "\"dir\" must be an absolute path"},
        {"    drill: {target: 5}\n", "\"target\" must be \"latest\" or \"random\""},
        {"    drill: {amcheck: perhaps}\n", "\"amcheck\" must be"},
        {"    drill: {time_limit: 10}\n", "line 5"},
        {"    drill: {checks: [1]}\n", "the list of checks must be a map"},
        {"    drill: {checks: {a: {expect: 1}}}\n", "check \"a\" has no \"sql\""},
        {"    drill: {checks: {a: {sql: \" ; \", expect: 1}}}\n", "must be a statement"},
        {"    drill: {checks: {a: {sql: select 1}}}\n", "does not say what is right"},
        {"    drill: {checks: {a: {sql: select 1, expect: 1, expect_min: 1}}}\n", "keep one"},
        {"    drill: {checks: {a: {sql: select 1, expect_min: many}}}\n",
         "\"expect_min\" must be a number, not \"many\""},
        {"    drill: {checks: {a b: {sql: select 1, expect: 1}}}\n",
         "cannot be the name of a check"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(config_free) struct config *c = NULL;
        struct err err = {0};

        FAILS(parse(cases[i].drill, &c, &err), &err, ERR_CONFIG);
        if (strstr(err.msg, cases[i].said) == NULL)
            fail_msg("%s: \"%s\" is not in \"%s\"", cases[i].drill, cases[i].said, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_word_there_are_defaults),
        cmocka_unit_test(all_keys_are_read),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
