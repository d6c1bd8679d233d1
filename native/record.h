/* The text of one event, looked at without making objects of it. */

#ifndef CICSC_RECORD_H
#define CICSC_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes inside the text that was looked at; a string's are between its quotes, escapes as they stand. */
typedef struct {
    const char *at;
    size_t size;
} Span;

typedef struct {
    Span tenant_id, entity_type, entity_id;
    int64_t seq, ts;
    bool has_escapes; /* in one of the three names */
} Record;

/* Looks at the line that begins at `at`; `end` is behind the line feed that the text ends with. Returns where the line
   feed of the line is if the line is an event just as the encoder of `runs.py` would write it, which proves that it is
   strict JSON; else NULL, also for an event that is only rare: one with an exponent, with deep nesting. */
const char *record_scan(const char *at, const char *end, Record *record);

/* The pieces of a record, which return the place behind what they have read, or NULL. */
const char *record_object(const char *at, const char *end);
const char *record_integer(const char *at, int64_t *found);
const char *record_name(const char *at, Span *found); /* a text up to a tab, with nothing to escape in it */

/* Moves `at` behind a text that is expected there before `end`, or makes it NULL. */
#define EXPECT(literal) (at = record_expected(at, end, literal, sizeof(literal) - 1))

static inline const char *record_expected(const char *at, const char *end, const char *literal, size_t size)
{
    return (size_t)(end - at) >= size && memcmp(at, literal, size) == 0 ? at + size : NULL;
}

#endif
