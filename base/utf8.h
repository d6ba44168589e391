/* utf8.h - which bytes are a character, and which of them may be shown. */
#ifndef PGBR_BASE_UTF8_H
#define PGBR_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the UTF-8 character at p, of which left bytes may be read; 0 when there is none
 * (RFC 3629, section 4: nothing overlong, no surrogates). left must not be 0. */
size_t utf8_length(const uint8_t *p, size_t left);

/* True for a character of n bytes that would break a line or steer a terminal: ASCII's controls,
 * and U+0080 to U+009F. */
bool utf8_is_control(const uint8_t *p, size_t n);

/* Makes text from outside fit to be shown, at its place: controls become spaces, bytes that are no
 * character question marks. */
void utf8_clean(char *text);

#endif
