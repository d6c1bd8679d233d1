/* Records gathered by stream, in the order they came, and sorted when they are asked for. */

#ifndef CICSC_STREAMS_H
#define CICSC_STREAMS_H

#include "record.h"

#define NAMES 3 /* of a stream: tenant, type, id */

typedef struct {
    int64_t seq;
    Span text;
} Event;

typedef struct {
    Span key; /* the names as they stand in a record, with what is between them: equal names, equal bytes */
    uint64_t hash;
    Span names[NAMES]; /* decoded */
    char *decoded;     /* where names had escapes: what they point into */
    Event *events;
    size_t count, room;
    bool is_sorted;
} Stream;

typedef struct {
    Stream *streams;
    size_t count, room;
    uint32_t *slots; /* the number of a stream, from 1; 0 is free */
    size_t slots_count;
    size_t bytes; /* of memory that is held here, the texts themselves not counted */
    bool is_sorted;
} Streams;

/* These return false where there is no memory; what was there stays. */
bool streams_add(Streams *streams, const Record *record, Span text, uint64_t (*hash)(const void *, size_t));
bool streams_sort(Streams *streams); /* by names in code-point order, the events of each by seq as far as no two are equal */

bool stream_has_ties(const Stream *stream); /* of one that is sorted */
void streams_clear(Streams *streams);

#endif
