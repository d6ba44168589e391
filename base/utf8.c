/* utf8.c - see utf8.h. */
#include "base/utf8.h"

#include <string.h>

#include "base/auto.h"

size_t utf8_length(const uint8_t *p, size_t left)
{
    static const struct {
        uint8_t first_min, first_max, second_min, second_max;
        size_t length;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < LENGTH(forms); i++) {
        size_t n = forms[i].length;
        if (p[0] < forms[i].first_min || p[0] > forms[i].first_max)
            continue;
        if (n > left || (n > 1 && (p[1] < forms[i].second_min || p[1] > forms[i].second_max)))
            return 0;
        for (size_t k = 2; k < n; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return n;
    }
    return 0;
}

bool utf8_is_control(const uint8_t *p, size_t n)
{
    return (n == 1 && (p[0] < ' ' || p[0] == 0x7f)) || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

void utf8_clean(char *text)
{
    uint8_t *p = (uint8_t *)text;
    size_t len = strlen(text);

    for (size_t i = 0, n; i < len; i += MAX_OF(n, (size_t)1)) {
        n = utf8_length(p + i, len - i);
        if (n == 0)
            p[i] = '?';
        else if (utf8_is_control(p + i, n))
            memset(p + i, ' ', n);
    }
}
