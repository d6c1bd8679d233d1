/* Eight bytes at once. */

#ifndef CICSC_WORDS_H
#define CICSC_WORDS_H

#include <stdint.h>

/* Returns how many of eight bytes in memory come before the first whose top bit is set in a word made of them, or fewer. */
static inline int bytes_before(uint64_t tops)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_ctzll(tops) / 8;
#else
    (void)tops;
    return 0;
#endif
}

#endif
