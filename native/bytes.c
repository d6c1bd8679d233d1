/* Bytes that grow by doubling. */

#include "bytes.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 256 * 1024 };

bool bytes_reserve(Bytes *bytes, size_t more)
{
    size_t wanted = bytes->room ? bytes->room : FIRST_ROOM;
    char *data;

    if (bytes->room - bytes->size >= more)
        return true;
    while (wanted - bytes->size < more)
        wanted *= 2;
    if ((data = realloc(bytes->data, wanted)) == NULL)
        return false;
    bytes->data = data;
    bytes->room = wanted;
    return true;
}

void bytes_put(Bytes *bytes, const char *data, size_t size)
{
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}
