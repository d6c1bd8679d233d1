/* Doubles of so many digits that only trying tells whether they are written as they were read. */

#ifndef CICSC_DOUBLES_H
#define CICSC_DOUBLES_H

#include <stdbool.h>
#include <stddef.h>

/* Tells whether these bytes are the shortest text that reads as the double they stand for, with a fraction and no exponent.
   Behind them is a byte that belongs to no number. Needs the interpreter's lock. */
bool double_is_shortest(const char *at, size_t size);

#endif
