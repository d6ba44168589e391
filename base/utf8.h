/* utf8.h - which bytes are a character. */
#ifndef PGBR_BASE_UTF8_H
#define PGBR_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length of the UTF-8 character at p, of which left bytes may be read; 0 when there is none
 * (RFC 3629, section 4: nothing overlong, no surrogates). left must not be 0. */
size_t utf8_length(const uint8_t *p, size_t left);

#endif
