/* Rows of a store, as PostgreSQL copies them out, made into records. */

#ifndef CICSC_ROWS_H
#define CICSC_ROWS_H

#include "bytes.h"
#include "record.h"

typedef struct {
    int64_t position;
    Span entity_type, entity_id;
} Row;

typedef enum { ROW_TAKEN, ROW_OTHER, ROW_NO_MEMORY } RowOutcome;

/* Appends the record of the row that begins at `*at`, with a line feed, and moves `*at` behind the line. `tenant` is the
   tenant as JSON text. The columns: position, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra. The
   outcome is ROW_OTHER, and what was appended of no use, unless the row holds just what a record may hold. */
RowOutcome row_record(const char **at, const char *end, Span tenant, Bytes *records, Row *row);

#endif
