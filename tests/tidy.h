/*
 * tidy.h - what clang-tidy cannot see across files; included in front of each file it looks at.
 *
 * Without it the analyzer thinks that a function which "return err_set(...)" may have succeeded,
 * and that its results were then used without being set.
 */
#include "base/err.h"

#define err_set(...) ((void)err_set(__VA_ARGS__), -1)
#define err_sys(...) ((void)err_sys(__VA_ARGS__), -1)
#define err_context(...) ((void)err_context(__VA_ARGS__), -1)
