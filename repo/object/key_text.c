/* key_text.c - see key_text.h. */
#include "repo/object/key_text.h"

#include <ctype.h>

#include "base/hash.h"
#include "base/mem.h"

enum { LINES = 4, PART = REPO_KEY_SIZE / LINES, CHECK = 2, SHOWN = PART + CHECK };
static const char word[] = "key";

/* What two bytes tell of the others: made of purpose, line and content. */
static void check_of(unsigned line, const uint8_t part[PART], uint8_t out[CHECK])
{
    static const char purpose[] = "pgbr1 key on paper";
    uint8_t input[sizeof purpose + 1 + PART], digest[32];

    memcpy(input, purpose, sizeof purpose);
    input[sizeof purpose] = (uint8_t)line;
    memcpy(input + sizeof purpose + 1, part, PART);
    sha256(input, sizeof input, digest);
    memcpy(out, digest, CHECK);
    mem_wipe(input, sizeof input);
}

void key_text_format(const struct repo_key *key, struct buf *out)
{
    for (unsigned line = 1; line <= LINES; line++) {
        const uint8_t *part = key->bytes + (line - 1) * (size_t)PART;
        uint8_t check[CHECK];

        check_of(line, part, check);
        buf_addf(out, "%s %u:", word, line);
        for (size_t i = 0; i < PART; i += 2)
            buf_addf(out, " %02x%02x", part[i], part[i + 1]);
        buf_addf(out, "  %02x%02x\n", check[0], check[1]);
    }
}

/* ---- reading ---- */

struct text {
    const char *p, *end;
};

static void skip_blanks(struct text *t)
{
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\t' || *t->p == '\r'))
        t->p++;
}

/* "key 3:" in front of a line: its number, and the rest is left in t. 0: something else. */
static unsigned line_number(struct text *t)
{
    unsigned line;

    skip_blanks(t);
    for (size_t i = 0; i < sizeof word - 1; i++, t->p++)
        if (t->p == t->end || tolower((unsigned char)*t->p) != word[i])
            return 0;
    skip_blanks(t);
    if (t->end - t->p < 2 || t->p[0] < '1' || t->p[0] > '0' + LINES || t->p[1] != ':')
        return 0;
    line = (unsigned)(t->p[0] - '0');
    t->p += 2;
    return line;
}

static int digit_of(char c)
{
    int low = tolower((unsigned char)c);

    if (c >= '0' && c <= '9')
        return c - '0';
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* Exactly so many bytes of hex digits, with blanks anywhere. */
static bool read_digits(struct text *t, uint8_t out[SHOWN])
{
    size_t n = 0;

    memset(out, 0, SHOWN);
    for (;; n++, t->p++) {
        int digit;

        skip_blanks(t);
        if (t->p == t->end)
            return n == 2 * (size_t)SHOWN;
        digit = digit_of(*t->p);
        if (digit < 0 || n == 2 * (size_t)SHOWN)
            return false;
        out[n / 2] = (uint8_t)(out[n / 2] << 4 | digit);
    }
}

static int read_line(struct text line, struct repo_key *key, unsigned *seen, struct err *err)
{
    unsigned number = line_number(&line);
    uint8_t shown[SHOWN], check[CHECK];
    bool fits;

    if (number == 0)
        return 0;
    if ((*seen & 1U << number) != 0)
        return err_set(err, ERR_KEY, "\"%s %u:\" is there twice", word, number);
    *seen |= 1U << number;
    fits = read_digits(&line, shown);
    check_of(number, shown, check);
    fits = fits && memcmp(check, shown + PART, CHECK) == 0;
    if (fits)
        memcpy(key->bytes + (number - 1) * (size_t)PART, shown, PART);
    mem_wipe(shown, sizeof shown);
    return fits ? 0
                : err_set(err, ERR_KEY, "line \"%s %u:\" is mistyped: its check does not fit", word,
                          number);
}

int key_text_parse(const char *text, size_t len, struct repo_key *key, struct err *err)
{
    const char *end = text + len;
    unsigned seen = 0;

    for (const char *next; text < end; text = next) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        struct text line = {text, stop != NULL ? stop : end};

        next = stop != NULL ? stop + 1 : end;
        TRY(read_line(line, key, &seen, err));
    }
    for (unsigned line = 1; line <= LINES; line++)
        if ((seen & 1U << line) == 0)
            return err_set(err, ERR_KEY, "line \"%s %u:\" is missing", word, line);
    return 0;
}
