/* Blocks as `runs.py` defines them, each with its length before it.

   Source of the encoding: the specification of MessagePack. A block is an array of tenant, type, id, the array of its
   seqs, and its records as bytes, with a line feed between any two. */

#include "blocks.h"

enum {
    LENGTH_BYTES = 8,
    HEADER_MAX = 9, /* the longest head of a value: a type and eight bytes */
    FIX_ARRAY = 0x90,
    FIX_ARRAY_MAX = 15,
    ARRAY_16 = 0xDC,
    FIX_STR = 0xA0,
    FIX_STR_MAX = 31,
    STR_32 = 0xDB,
    BIN_32 = 0xC6,
    INT_64 = 0xD3,
    FIX_INT_MAX = 127,
    UINT_16 = 0xCD,
};

/* What follows writes into room that was reserved. */

static void put_big_endian(char *to, uint64_t number, int size)
{
    for (int at = size - 1; at >= 0; at--, number >>= 8)
        to[at] = (char)number;
}

static void put_head(Bytes *bytes, unsigned char type, uint64_t number, int size)
{
    bytes->data[bytes->size] = (char)type;
    put_big_endian(bytes->data + bytes->size + 1, number, size);
    bytes->size += 1 + (size_t)size;
}

static void put_string(Bytes *bytes, Span text)
{
    if (text.size <= FIX_STR_MAX)
        put_head(bytes, (unsigned char)(FIX_STR | text.size), 0, 0);
    else
        put_head(bytes, STR_32, text.size, 4);
    bytes_put(bytes, text.at, text.size);
}

static void put_seq(Bytes *bytes, int64_t seq)
{
    if (seq >= 0 && seq <= FIX_INT_MAX)
        put_head(bytes, (unsigned char)seq, 0, 0);
    else if (seq >= 0 && seq <= UINT16_MAX)
        put_head(bytes, UINT_16, (uint64_t)seq, 2);
    else
        put_head(bytes, INT_64, (uint64_t)seq, 8);
}

/* How many events from one on are a block, and how long their records are together. */
static size_t block_events(const Stream *stream, size_t first, Bounds bounds, size_t *text_size)
{
    size_t count = 0, size = 0;

    while (first + count < stream->count && count < bounds.events) {
        size_t more = stream->events[first + count].text.size;
        if (count && size + more > bounds.text)
            break;
        size += more;
        count++;
    }
    *text_size = size;
    return count;
}

static bool write_block(Bytes *bytes, const Stream *stream, size_t first, size_t count, size_t text_size)
{
    size_t names = 0, begin = bytes->size;

    for (int name = 0; name < NAMES; name++)
        names += stream->names[name].size;
    text_size += count - 1;
    if (!bytes_reserve(bytes, LENGTH_BYTES + HEADER_MAX * (NAMES + 3 + count) + names + text_size))
        return false;
    bytes->size += LENGTH_BYTES;
    put_head(bytes, FIX_ARRAY | (NAMES + 2), 0, 0);
    for (int name = 0; name < NAMES; name++)
        put_string(bytes, stream->names[name]);
    if (count <= FIX_ARRAY_MAX)
        put_head(bytes, (unsigned char)(FIX_ARRAY | count), 0, 0);
    else
        put_head(bytes, ARRAY_16, count, 2);
    for (size_t event = first; event < first + count; event++)
        put_seq(bytes, stream->events[event].seq);
    put_head(bytes, BIN_32, text_size, 4);
    for (size_t event = first; event < first + count; event++) {
        if (event > first)
            bytes_put(bytes, "\n", 1);
        bytes_put(bytes, stream->events[event].text.at, stream->events[event].text.size);
    }
    put_big_endian(bytes->data + begin, bytes->size - begin - LENGTH_BYTES, LENGTH_BYTES);
    return true;
}

bool place_settle(const Streams *streams, Place *place)
{
    while (place->stream < streams->count && place->event >= streams->streams[place->stream].count) {
        place->stream++;
        place->event = 0;
    }
    return place->stream < streams->count;
}

bool blocks_write(Bytes *bytes, const Streams *streams, Place *place, Bounds bounds, size_t bytes_max)
{
    while (bytes->size < bytes_max && place_settle(streams, place)) {
        const Stream *stream = &streams->streams[place->stream];
        size_t text_size, count = block_events(stream, place->event, bounds, &text_size);
        if (!write_block(bytes, stream, place->event, count, text_size))
            return false;
        place->event += count;
    }
    return true;
}
