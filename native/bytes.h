/* Bytes that grow. */

#ifndef CICSC_BYTES_H
#define CICSC_BYTES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *data; /* of malloc, or NULL */
    size_t size, room;
} Bytes;

/* Makes room for so many more; returns false where there is no memory. */
bool bytes_reserve(Bytes *bytes, size_t more);

/* Appends into room that was reserved. */
void bytes_put(Bytes *bytes, const char *data, size_t size);

#endif
