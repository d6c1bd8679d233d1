/* A scanner for lines that are records: the text of an event to the byte as `encode_record` in runs.py writes it.

   It accepts a part of what that encoder can write, and nothing else: what it does not know well is left to Python. So it
   needs no errors, and whatever it accepts would be the same bytes when decoded and encoded again (a property test says
   so). Each function returns the place behind what it has read, or NULL. The text ends with a line feed, which is in no
   token, so nothing reads beyond it.

   Sources: RFC 8259 (JSON), RFC 3629 (UTF-8); that a double keeps 15 decimal digits: C11, 5.2.4.2.2, DBL_DIG. */

#include "record.h"

#include <string.h>

#include "doubles.h"
#include "words.h"

enum {
    DIGITS_MAX = 18,       /* of an integer: fits 64 bits whatever they are */
    FLOAT_DIGITS_MAX = 20, /* of a number with a fraction: 17 tell every double apart, and zeros may stand before them */
    SAFE_DIGITS_MAX = 15,  /* a double is written with the digits that it was read from, if they are not more */
    SMALL_ZEROS = 3,       /* zeros behind the point from which on the encoder might write an exponent */
    DEPTH_MAX = 16,
    KEYS_MAX = 64, /* of an object; each is compared with all before it */
};

static const char *value(const char *at, const char *end, int depth);

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* One character of several bytes: no surrogates, nothing beyond U+10FFFF, nothing longer than it must be. */
static const char *wide_character(const char *at)
{
    const unsigned char *byte = (const unsigned char *)at;
    int more;
    unsigned char least = 0x80, most = 0xBF;

    if (byte[0] >= 0xC2 && byte[0] <= 0xDF)
        more = 1;
    else if (byte[0] >= 0xE0 && byte[0] <= 0xEF) {
        more = 2;
        if (byte[0] == 0xE0)
            least = 0xA0;
        else if (byte[0] == 0xED)
            most = 0x9F;
    } else if (byte[0] >= 0xF0 && byte[0] <= 0xF4) {
        more = 3;
        if (byte[0] == 0xF0)
            least = 0x90;
        else if (byte[0] == 0xF4)
            most = 0x8F;
    } else
        return NULL;
    if (byte[1] < least || byte[1] > most)
        return NULL;
    for (int number = 2; number <= more; number++)
        if (byte[number] < 0x80 || byte[number] > 0xBF)
            return NULL;
    return at + more + 1;
}

/* The top bit of each of eight bytes that is not ASCII, or a control character, a quote or a backslash; exact up to the
   first such byte: what is smaller than a space borrows into its own top bit, or into that of one above it. */
static inline uint64_t unusual(const char *at)
{
    uint64_t word = word_at(at);

    return ((word | (word - WORD_ONES * 0x20)) & WORD_TOPS) | bytes_equal(word, '"') | bytes_equal(word, '\\');
}

/* Passes over usual characters; the one that it returns may be another. */
static inline const char *after_usual(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t found = unusual(at);
        if (found)
            return at + bytes_before(found);
    }
    return at;
}

static const char *string(const char *at, const char *end, Span *found, bool *has_escapes)
{
    if (*at != '"')
        return NULL;
    found->at = ++at;
    for (;;) {
        at = after_usual(at, end);
        unsigned char byte = (unsigned char)*at;
        if (byte == '"') {
            found->size = (size_t)(at - found->at);
            return at + 1;
        }
        if (byte == '\\') {
            /* Not \/ and no \u, which the encoder writes for other control characters only. */
            if (at[1] == '\0' || strchr("\"\\bfnrt", at[1]) == NULL)
                return NULL;
            *has_escapes = true;
            at += 2;
        } else if (byte >= 0x80) {
            if ((at = wide_character(at)) == NULL)
                return NULL;
        } else if (byte < 0x20)
            return NULL;
        else
            at++;
    }
}

/* An integer as it is written: no zero before other digits, and no zero with a sign. */
static const char *integer(const char *at, int64_t *found)
{
    bool is_negative = *at == '-';
    const char *digits = at + is_negative;
    int64_t number = 0;

    for (at = digits; is_digit(*at) && at - digits <= DIGITS_MAX; at++)
        if (at - digits < DIGITS_MAX)
            number = number * 10 + (*at - '0');
    if (at == digits || at - digits > DIGITS_MAX || (*digits == '0' && (is_negative || at - digits > 1)))
        return NULL;
    *found = is_negative ? -number : number;
    return at;
}

/* A number, or one with a fraction that is written with the very digits that were read: none of them in vain. */
static const char *number(const char *at)
{
    const char *begin = at, *digits = at + (*at == '-'), *point;
    int64_t ignored;

    for (at = digits; is_digit(*at) && at - digits <= DIGITS_MAX;)
        at++;
    if (*at != '.')
        return *at == 'e' || *at == 'E' ? NULL : integer(begin, &ignored);
    point = at;
    if (point == digits || (*digits == '0' && point - digits > 1))
        return NULL;
    for (at = point + 1; is_digit(*at) && at - digits <= FLOAT_DIGITS_MAX;)
        at++;
    if (at - point < 2 || at - digits > FLOAT_DIGITS_MAX + 1 || is_digit(*at) || *at == 'e' || *at == 'E')
        return NULL;
    if (at[-1] == '0' && at - point > 2)
        return NULL;
    if (*digits == '0' && at - point > SMALL_ZEROS && memcmp(point + 1, "000", SMALL_ZEROS) == 0)
        return NULL;
    if (at - digits > SAFE_DIGITS_MAX + 1)
        return double_is_shortest(begin, (size_t)(at - begin)) ? at : NULL;
    return at - begin == 4 && memcmp(begin, "-0.0", 4) == 0 ? NULL : at;
}

static bool is_repeated(const Span *keys, int count)
{
    const Span *last = &keys[count];

    for (int before = 0; before < count; before++)
        if (keys[before].size == last->size && memcmp(keys[before].at, last->at, last->size) == 0)
            return true;
    return false;
}

static const char *object(const char *at, const char *end, int depth)
{
    Span keys[KEYS_MAX];
    bool ignored;

    if (*at != '{' || depth > DEPTH_MAX)
        return NULL;
    if (*++at == '}')
        return at + 1;
    for (int count = 0; count < KEYS_MAX; count++) {
        if ((at = string(at, end, &keys[count], &ignored)) == NULL || is_repeated(keys, count) || *at != ':')
            return NULL;
        if ((at = value(at + 1, end, depth + 1)) == NULL)
            return NULL;
        if (*at == '}')
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
    return NULL;
}

static const char *array(const char *at, const char *end, int depth)
{
    if (depth > DEPTH_MAX)
        return NULL;
    if (*++at == ']')
        return at + 1;
    while ((at = value(at, end, depth + 1)) != NULL) {
        if (*at == ']')
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
    return NULL;
}

static const char *value(const char *at, const char *end, int depth)
{
    Span ignored;
    bool has_escapes;

    switch (*at) {
    case '"':
        return string(at, end, &ignored, &has_escapes);
    case '{':
        return object(at, end, depth);
    case '[':
        return array(at, end, depth);
    case 't':
        return EXPECT("true");
    case 'f':
        return EXPECT("false");
    case 'n':
        return EXPECT("null");
    default:
        return number(at);
    }
}

const char *record_scan(const char *at, const char *end, Record *record)
{
    Span ignored;
    bool is_escaped;

    record->has_escapes = false;
    if (!EXPECT("{\"tenant_id\":") || !(at = string(at, end, &record->tenant_id, &record->has_escapes)))
        return NULL;
    if (!EXPECT(",\"entity_type\":") || !(at = string(at, end, &record->entity_type, &record->has_escapes)))
        return NULL;
    if (!EXPECT(",\"entity_id\":") || !(at = string(at, end, &record->entity_id, &record->has_escapes)))
        return NULL;
    if (!EXPECT(",\"seq\":") || !(at = integer(at, &record->seq)))
        return NULL;
    if (!EXPECT(",\"event_type\":") || !(at = string(at, end, &ignored, &is_escaped)))
        return NULL;
    if (!EXPECT(",\"payload\":") || !(at = object(at, end, 0)))
        return NULL;
    if (!EXPECT(",\"ts\":") || !(at = integer(at, &record->ts)))
        return NULL;
    if (!EXPECT(",\"actor_id\":") || !(at = string(at, end, &ignored, &is_escaped)))
        return NULL;
    return EXPECT("}") && *at == '\n' ? at : NULL;
}

const char *record_object(const char *at, const char *end)
{
    return object(at, end, 0);
}

const char *record_integer(const char *at, int64_t *found)
{
    return integer(at, found);
}

const char *record_name(const char *at, Span *found)
{
    found->at = at;
    while (at != NULL && *at != '\t') {
        unsigned char byte = (unsigned char)*at;
        if (byte >= 0x80)
            at = wide_character(at);
        else if (byte < 0x20 || byte == '"' || byte == '\\')
            return NULL;
        else
            at++;
    }
    if (at != NULL)
        found->size = (size_t)(at - found->at);
    return at;
}
