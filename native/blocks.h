/* Blocks of a run, as bytes. */

#ifndef CICSC_BLOCKS_H
#define CICSC_BLOCKS_H

#include "bytes.h"
#include "streams.h"

/* Where to go on: the stream, and the event in it. */
typedef struct {
    size_t stream, event;
} Place;

/* Bounds of a block, in events (no more than 65,535) and bytes of their records. A longer record is a block of its own. */
typedef struct {
    size_t events, text;
} Bounds;

/* Appends the blocks of sorted streams from a place on, until there are so many bytes, and moves the place behind them.
   Returns false where there is no memory. */
bool blocks_write(Bytes *bytes, const Streams *streams, Place *place, Bounds bounds, size_t bytes_max);

/* Moves a place that is at the end of a stream, or in one without events, to the next event; false where there is none. */
bool place_settle(const Streams *streams, Place *place);

#endif
