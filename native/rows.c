/* Source of the form: the documentation of PostgreSQL, COPY, "Text Format". Columns are apart by tabs; where a text holds
   a tab, a line feed or a backslash, that is escaped by a backslash; NULL is \\N. */

#include "rows.h"

#include <string.h>

enum { NAMES_MAX = 128 }; /* more than all that is written between the columns */

#define PUT_INTO(bytes, literal) bytes_put(bytes, literal, sizeof(literal) - 1)
#define PUT(literal) PUT_INTO(records, literal)
#define END_OF(column, call) ((column) = (call), (column) != NULL && *(column) == '\t')

/* Appends a column that holds an integer; returns the tab behind it, or NULL. */
static const char *put_integer(const char *at, Bytes *records)
{
    const char *begin = at;
    int64_t ignored;

    if (!END_OF(at, record_integer(at, &ignored)))
        return NULL;
    bytes_put(records, begin, (size_t)(at - begin));
    return at;
}

/* Appends a column that holds a name; returns the tab behind it, or NULL. */
static const char *put_name(const char *at, Span *name, Bytes *records)
{
    if (!END_OF(at, record_name(at, name)))
        return NULL;
    bytes_put(records, name->at, name->size);
    return at;
}

/* Appends a payload without COPY's escapes, of which JSON as we write it has one only; NULL where there is another. */
static const char *put_payload(const char *at, Bytes *records)
{
    for (;;) {
        const char *begin = at;
        while (*at != '\t' && *at != '\n' && *at != '\\')
            at++;
        bytes_put(records, begin, (size_t)(at - begin));
        if (*at != '\\')
            return at;
        if (at[1] != '\\')
            return NULL;
        PUT("\\");
        at += 2;
    }
}

static bool is_payload(const char *begin, Bytes *records)
{
    const char *end = records->data + records->size;

    records->data[records->size] = '\n'; /* nothing reads beyond it */
    return record_object(begin, end + 1) == end;
}

RowOutcome row_record(const char **at, const char *end, Span tenant, Bytes *records, Row *row)
{
    const char *column = *at, *line_end = memchr(column, '\n', (size_t)(end - column));
    Span name;

    if (line_end == NULL)
        return ROW_OTHER;
    if (!bytes_reserve(records, (size_t)(line_end - column) + tenant.size + NAMES_MAX))
        return ROW_NO_MEMORY;
    row->offset = records->size;
    if (!END_OF(column, record_integer(column, &row->position)))
        return ROW_OTHER;
    PUT("{\"tenant_id\":");
    bytes_put(records, tenant.at, tenant.size);
    PUT(",\"entity_type\":\"");
    if ((column = put_name(column + 1, &row->entity_type, records)) == NULL)
        return ROW_OTHER;
    PUT("\",\"entity_id\":\"");
    if ((column = put_name(column + 1, &row->entity_id, records)) == NULL)
        return ROW_OTHER;
    PUT("\",\"seq\":");
    if ((column = put_integer(column + 1, records)) == NULL)
        return ROW_OTHER;
    PUT(",\"event_type\":\"");
    if ((column = put_name(column + 1, &name, records)) == NULL)
        return ROW_OTHER;
    PUT("\",\"payload\":");
    size_t payload = records->size;
    if (!END_OF(column, put_payload(column + 1, records)) || !is_payload(records->data + payload, records))
        return ROW_OTHER;
    PUT(",\"ts\":");
    if ((column = put_integer(column + 1, records)) == NULL)
        return ROW_OTHER;
    PUT(",\"actor_id\":\"");
    if ((column = put_name(column + 1, &name, records)) == NULL)
        return ROW_OTHER;
    if (line_end - column != 3 || memcmp(column + 1, "\\N", 2) != 0)
        return ROW_OTHER;
    PUT("\"}\n");
    *at = line_end + 1;
    return ROW_TAKEN;
}

enum { INTEGER_BYTES_MAX = 21 }; /* of 64 bits, with a sign and a tab */

static void put_number(int64_t number, Bytes *rows)
{
    char digits[INTEGER_BYTES_MAX], *at = digits + INTEGER_BYTES_MAX;
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    *--at = '\t';
    do
        *--at = (char)('0' + left % 10);
    while ((left /= 10) != 0);
    if (number < 0)
        *--at = '-';
    bytes_put(rows, at, (size_t)(digits + INTEGER_BYTES_MAX - at));
}

/* Appends a text of a record as a column, up to the quote behind it; returns where that is, or NULL where the text has
   escapes. */
static const char *put_text(const char *at, const char *end, Bytes *rows)
{
    const char *quote = at == NULL ? NULL : memchr(at, '"', (size_t)(end - at));

    if (quote == NULL || memchr(at, '\\', (size_t)(quote - at)) != NULL)
        return NULL;
    bytes_put(rows, at, (size_t)(quote - at));
    PUT_INTO(rows, "\t");
    return quote;
}

/* Appends a payload with COPY's escapes. */
static void put_escaped(const char *at, const char *end, Bytes *rows)
{
    for (const char *found; (found = memchr(at, '\\', (size_t)(end - at))) != NULL; at = found + 1) {
        bytes_put(rows, at, (size_t)(found + 1 - at));
        PUT_INTO(rows, "\\");
    }
    bytes_put(rows, at, (size_t)(end - at));
    PUT_INTO(rows, "\t");
}

/* Returns where a literal begins that ends at `at`, or NULL. */
#define BEFORE(at, begin, literal) \
    ((size_t)((at) - (begin)) >= sizeof(literal) - 1 && memcmp((at) - (sizeof(literal) - 1), literal, sizeof(literal) - 1) == 0 \
         ? (at) - (sizeof(literal) - 1) \
         : NULL)

/* The last two fields of a record: found from its end, since only they are certain to hold no object. */
typedef struct {
    const char *payload_end;
    Span ts, actor_id;
} Tail;

static bool read_tail(const char *begin, const char *end, Tail *tail)
{
    const char *at = BEFORE(end, begin, "\"}");

    if (at == NULL)
        return false;
    tail->actor_id.at = at;
    while (tail->actor_id.at > begin && tail->actor_id.at[-1] != '"' && tail->actor_id.at[-1] != '\\')
        tail->actor_id.at--;
    tail->actor_id.size = (size_t)(at - tail->actor_id.at);
    if ((at = BEFORE(tail->actor_id.at, begin, ",\"actor_id\":\"")) == NULL)
        return false;
    tail->ts.at = at;
    while (tail->ts.at > begin && tail->ts.at[-1] != ':')
        tail->ts.at--;
    tail->ts.size = (size_t)(at - tail->ts.at);
    tail->payload_end = BEFORE(tail->ts.at, begin, ",\"ts\":");
    return tail->payload_end != NULL;
}

RowOutcome record_row(const char **begin, const char *texts_end, Span tenant, Span first, const int64_t place[2], Bytes *rows)
{
    const char *at = *begin, *end = memchr(at, '\n', (size_t)(texts_end - at)), *number;
    Tail tail;

    if (end == NULL)
        return ROW_OTHER;
    if (!bytes_reserve(rows, 2 * (size_t)(end - at) + first.size + NAMES_MAX))
        return ROW_NO_MEMORY;
    bytes_put(rows, first.at, first.size);
    put_number(place[0], rows);
    put_number(place[1], rows);
    if (!EXPECT("{\"tenant_id\":") || (at = record_expected(at, end, tenant.at, tenant.size)) == NULL)
        return ROW_OTHER;
    if (!EXPECT(",\"entity_type\":\"") || (at = put_text(at, end, rows)) == NULL)
        return ROW_OTHER;
    if (!EXPECT("\",\"entity_id\":\"") || (at = put_text(at, end, rows)) == NULL)
        return ROW_OTHER;
    if (!EXPECT("\",\"seq\":"))
        return ROW_OTHER;
    number = at;
    if ((at = memchr(at, ',', (size_t)(end - at))) == NULL)
        return ROW_OTHER;
    bytes_put(rows, number, (size_t)(at - number));
    PUT_INTO(rows, "\t");
    if (!EXPECT(",\"event_type\":\"") || (at = put_text(at, end, rows)) == NULL)
        return ROW_OTHER;
    if (!EXPECT("\",\"payload\":") || !read_tail(at, end, &tail))
        return ROW_OTHER;
    put_escaped(at, tail.payload_end, rows);
    bytes_put(rows, tail.ts.at, tail.ts.size);
    PUT_INTO(rows, "\t");
    bytes_put(rows, tail.actor_id.at, tail.actor_id.size);
    PUT_INTO(rows, "\t\\N\n");
    *begin = end + 1;
    return ROW_TAKEN;
}
