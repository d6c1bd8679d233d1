/* Rows of a store, as PostgreSQL copies them out and in, made into records and of records. */

#ifndef CICSC_ROWS_H
#define CICSC_ROWS_H

#include "bytes.h"
#include "record.h"

typedef struct {
    int64_t position;
    Span entity_type, entity_id;
    size_t offset; /* where its record begins */
} Row;

typedef enum { ROW_TAKEN, ROW_OTHER, ROW_NO_MEMORY } RowOutcome;

/* Appends the record of the row that begins at `*at`, with a line feed, and moves `*at` behind the line. `tenant` is the
   tenant as JSON text. The columns: position, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra. The
   outcome is ROW_OTHER, and what was appended of no use, unless the row holds just what a record may hold. */
RowOutcome row_record(const char **at, const char *end, Span tenant, Bytes *records, Row *row);

/* Appends the row of the record that begins at `*at`, and moves `*at` behind its line. What `encode_records` of runs.py
   has written is trusted to be a record. `tenant` is the tenant as JSON text; the row begins with `first`, columns that
   are written already, then position and ordinal. The outcome is ROW_OTHER for a name that would be written otherwise
   than in the record, and for a record with further fields. */
RowOutcome record_row(const char **at, const char *end, Span tenant, Span first, const int64_t place[2], Bytes *rows);

#endif
