/*
 * tidy.h - what clang-tidy cannot see across files; included in front of each file it looks at.
 *
 * Without it the analyzer thinks that a function which "return err_set(...)" may have succeeded,
 * that its results were then used without being set, and that memory can run out.
 */
#include "base/err.h"
#include "base/mem.h"

#define err_set(...) ((void)err_set(__VA_ARGS__), -1)
#define err_sys(...) ((void)err_sys(__VA_ARGS__), -1)
#define err_context(...) ((void)err_context(__VA_ARGS__), -1)

static inline void *tidy_not_null(void *p)
{
    if (p == 0)
        __builtin_unreachable();
    return p;
}
#define xmalloc(...) tidy_not_null(xmalloc(__VA_ARGS__))
#define xcalloc(...) tidy_not_null(xcalloc(__VA_ARGS__))
#define xrealloc(...) tidy_not_null(xrealloc(__VA_ARGS__))
#define xstrndup(...) tidy_not_null(xstrndup(__VA_ARGS__))
#define xasprintf(...) tidy_not_null(xasprintf(__VA_ARGS__))
#define xaligned(...) tidy_not_null(xaligned(__VA_ARGS__))
