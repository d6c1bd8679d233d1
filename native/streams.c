/* The table of streams: open addressing with linear probing, at most half full.

   Texts are not copied. They point into the text that was read, which the owner of the table keeps. */

#include "streams.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_STREAMS = 64, FIRST_EVENTS = 4, SLOTS_PER_STREAM = 2 };

static bool grown(void **items, size_t *room, size_t first, size_t size, size_t *bytes)
{
    size_t wanted = *room ? *room * 2 : first;
    void *found = realloc(*items, wanted * size);

    if (found == NULL)
        return false;
    *bytes += (wanted - *room) * size;
    *items = found;
    *room = wanted;
    return true;
}

/* ------------------------------------------------------------------------------------------------------- looking up */

static bool rehashed(Streams *streams)
{
    size_t count = streams->room * SLOTS_PER_STREAM; /* a power of two */
    uint32_t *slots = calloc(count, sizeof *slots);

    if (slots == NULL)
        return false;
    for (size_t number = 0; number < streams->count; number++) {
        size_t slot = streams->streams[number].hash & (count - 1);
        while (slots[slot])
            slot = (slot + 1) & (count - 1);
        slots[slot] = (uint32_t)number + 1;
    }
    free(streams->slots);
    streams->bytes += (count - streams->slots_count) * sizeof *slots;
    streams->slots = slots;
    streams->slots_count = count;
    return true;
}

static char decoded_escape(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter;
    }
}

/* Write names without their escapes, one after the other, and let the stream point there. */
static bool decode_names(Stream *stream, size_t *bytes)
{
    char *to = malloc(stream->key.size);

    if (to == NULL)
        return false;
    *bytes += stream->key.size;
    stream->decoded = to;
    for (int name = 0; name < NAMES; name++) {
        const char *at = stream->names[name].at, *end = at + stream->names[name].size;
        stream->names[name].at = to;
        while (at < end) {
            bool is_escape = *at == '\\';
            *to++ = is_escape ? decoded_escape(at[1]) : *at;
            at += is_escape ? 2 : 1;
        }
        stream->names[name].size = (size_t)(to - stream->names[name].at);
    }
    return true;
}

/* The stream of a key; a new one has no events yet. */
static Stream *stream_of(Streams *streams, const Record *record, Span key, uint64_t hash)
{
    size_t slot;

    if (streams->count == streams->room) {
        if (!grown((void **)&streams->streams, &streams->room, FIRST_STREAMS, sizeof(Stream), &streams->bytes))
            return NULL;
    }
    if (streams->slots_count < streams->room * SLOTS_PER_STREAM && !rehashed(streams))
        return NULL;
    for (slot = hash & (streams->slots_count - 1); streams->slots[slot]; slot = (slot + 1) & (streams->slots_count - 1)) {
        Stream *found = &streams->streams[streams->slots[slot] - 1];
        if (found->hash == hash && found->key.size == key.size && memcmp(found->key.at, key.at, key.size) == 0)
            return found;
    }
    Stream made = {.key = key, .hash = hash, .is_sorted = true};
    made.names[0] = record->tenant_id;
    made.names[1] = record->entity_type;
    made.names[2] = record->entity_id;
    if (record->has_escapes && !decode_names(&made, &streams->bytes))
        return NULL;
    streams->streams[streams->count++] = made;
    streams->slots[slot] = (uint32_t)streams->count;
    return &streams->streams[streams->count - 1];
}

bool streams_add(Streams *streams, const Record *record, Span text, uint64_t (*hash)(const void *, size_t))
{
    const char *begin = record->tenant_id.at;
    Span key = {begin, (size_t)(record->entity_id.at + record->entity_id.size - begin)};
    Stream *stream = streams->count < UINT32_MAX ? stream_of(streams, record, key, hash(key.at, key.size)) : NULL;

    if (stream == NULL)
        return false;
    if (stream->count == stream->room &&
        !grown((void **)&stream->events, &stream->room, FIRST_EVENTS, sizeof(Event), &streams->bytes))
        return false;
    if (stream->count && stream->events[stream->count - 1].seq >= record->seq)
        stream->is_sorted = false;
    stream->events[stream->count].seq = record->seq;
    stream->events[stream->count++].text = text;
    streams->is_sorted = false;
    return true;
}

/* ---------------------------------------------------------------------------------------------------------- sorting */

/* UTF-8 orders by its bytes as its characters do by their code points. */
static int by_names(const void *left, const void *right)
{
    const Stream *one = left, *other = right;

    for (int name = 0; name < NAMES; name++) {
        Span a = one->names[name], b = other->names[name];
        int order = memcmp(a.at, b.at, a.size < b.size ? a.size : b.size);
        if (order || a.size != b.size)
            return order ? order : a.size < b.size ? -1 : 1;
    }
    return 0;
}

static int by_seq(const void *left, const void *right)
{
    const Event *one = left, *other = right;

    return (one->seq > other->seq) - (one->seq < other->seq);
}

bool streams_sort(Streams *streams)
{
    if (streams->is_sorted)
        return true;
    for (size_t number = 0; number < streams->count; number++) {
        Stream *stream = &streams->streams[number];
        if (!stream->is_sorted)
            qsort(stream->events, stream->count, sizeof(Event), by_seq);
        stream->is_sorted = true;
    }
    if (streams->count)
        qsort(streams->streams, streams->count, sizeof(Stream), by_names);
    streams->is_sorted = true;
    return streams->count == 0 || rehashed(streams);
}

bool stream_has_ties(const Stream *stream)
{
    for (size_t number = 1; number < stream->count; number++)
        if (stream->events[number].seq == stream->events[number - 1].seq)
            return true;
    return false;
}

void streams_clear(Streams *streams)
{
    for (size_t number = 0; number < streams->count; number++) {
        free(streams->streams[number].events);
        free(streams->streams[number].decoded);
    }
    free(streams->streams);
    free(streams->slots);
    memset(streams, 0, sizeof *streams);
}
