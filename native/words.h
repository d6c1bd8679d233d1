/* Eight bytes at once. */

#ifndef CICSC_WORDS_H
#define CICSC_WORDS_H

#include <stdint.h>
#include <string.h>

#define WORD_ONES 0x0101010101010101u
#define WORD_TOPS 0x8080808080808080u

static inline uint64_t word_at(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

/* The top bit of each byte that is this one; exact up to the first such byte. */
static inline uint64_t bytes_equal(uint64_t word, char byte)
{
    uint64_t differences = word ^ (WORD_ONES * (unsigned char)byte);

    return (differences - WORD_ONES) & ~differences & WORD_TOPS;
}

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
