/* Source of the form: the documentation of PostgreSQL, COPY, "Text Format". Columns are apart by tabs; where a text holds
   a tab, a line feed or a backslash, that is escaped by a backslash; NULL is \\N. */

#include "rows.h"

#include <string.h>

enum { NAMES_MAX = 128 }; /* more than all that is written between the columns */

#define PUT(literal) bytes_put(records, literal, sizeof(literal) - 1)
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
