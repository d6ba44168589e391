#include "tests/lib/test.h"

#include <math.h>
#include <string.h>

#include "base/library.h"
#include "base/queue.h"

#define MATH_FUNCTIONS(X) X(cos) X(sqrt)
struct math {
    MATH_FUNCTIONS(LIBRARY_MEMBER)
};
static const char *const names[] = {MATH_FUNCTIONS(LIBRARY_NAME)};

static struct math shared;
static unsigned begun;

static int begin(void)
{
    begun++;
    return shared.sqrt(16) == 4 ? 0 : -1;
}

static int use(void *ctx, unsigned index, struct err *err)
{
    (void)index;
    TRY(library_load(ctx, err));
    return shared.cos(0) == 1 ? 0 : err_set(err, ERR_FAILED, "not filled");
}

static void a_library_is_loaded_once_for_all_threads(void **state)
{
    static struct library math = LIBRARY("libm.so.6", "libc6", names, shared, .begin = begin);
    struct workers *w = NULL;
    struct err err = {0};
    (void)state;

    OK(workers_start(&w, 8, use, &math, NULL, &err), &err);
    OK(workers_join(&w, &err), &err);
    OK(library_load(&math, &err), &err);
    assert_int_equal(begun, 1);
}

static int refuse(void)
{
    return -1;
}

static void what_cannot_be_used_is_told_each_time(void **state)
{
    static const char *const others[] = {"cos", "cosine"};
    static struct math table;
    static struct library cases[] = {
        LIBRARY("libnone.so.1", "libnone1", names, table),
        LIBRARY("libm.so.6", "libc6", others, table),
        LIBRARY("libm.so.6", "libc6", names, table, .begin = refuse),
    };
    static const char *const said[] = {"cannot load libnone.so.1: ",
                                       "libm.so.6 lacks the function cosine; install Debian "
                                       "package libc6",
                                       "libm.so.6 cannot be set up"};
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++)
        for (unsigned again = 0; again < 2; again++) {
            struct err err = {0};

            FAILS(library_load(&cases[i], &err), &err, ERR_UNSUPPORTED);
            assert_non_null(strstr(err.msg, said[i]));
            assert_non_null(strstr(err.msg, cases[i].package));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_library_is_loaded_once_for_all_threads),
        cmocka_unit_test(what_cannot_be_used_is_told_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
