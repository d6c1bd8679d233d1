/* The canonical form of records, which digests are made of. */

#ifndef CICSC_CANONICAL_H
#define CICSC_CANONICAL_H

#include <stdbool.h>

#include "bytes.h"

/* Appends the canonical form of the record that begins at `*at`, with a line feed, and moves `*at` behind its own, or to
   `end`, where a record may also end. The text must be what the encoder of `runs.py` writes: only what it could not write
   for a canonical form is looked for, nothing is checked. Returns false, and what was appended is of no use, for a record
   that Python has to encode: one with extra fields, with keys to escape, with rare numbers, with deep nesting. There must
   be room for two bytes more than the text. Any other text does no harm, and makes no sense. */
bool canonical_record(const char **at, const char *end, Bytes *lines);

#endif
