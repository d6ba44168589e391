/*
 * auto.h - tidy-up on every way out of a function.
 *
 * AUTO(release) on a variable calls release(&variable) when it goes out of scope. Release functions
 * take the variable's address, accept an empty one and leave it empty; they mean "abandon", never
 * "commit", because finishing can fail and a release cannot say so.
 */
#ifndef PGBR_BASE_AUTO_H
#define PGBR_BASE_AUTO_H

#define AUTO(release) __attribute__((cleanup(release)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* Hands a pointer on and leaves the variable empty, so that its AUTO does nothing. */
#define TAKE(var)                       \
    __extension__({                     \
        __typeof__(var) taken_ = (var); \
        (var) = NULL;                   \
        taken_;                         \
    })

/* Leaves the calling function with -1 when a step of it failed. */
#define TRY(call)        \
    do {                 \
        if ((call) != 0) \
            return -1;   \
    } while (0)

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

#endif
