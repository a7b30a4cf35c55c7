/* 128-bit identifiers (interactions, databases, incarnations, generations) and 128-bit hashes, and
 * their text forms.
 */
#ifndef IXN_BASE_ID_H
#define IXN_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/types.h"

typedef struct {
    uint8_t bytes[16]; /* big-endian, as in RFC 9562 */
} id128_t;

#define ID_TEXT_SIZE 37 /* 8-4-4-4-12 hexadecimal digits and the terminator */

/* A random id (UUID version 4) from the operating system. Not for the engine: randomness is an
 * input there. */
id128_t id_random(void);

/* A UUID version 7 (RFC 9562, 5.7): milliseconds of `wall_us`, then 74 bits of `seed`. Ids of one
 * node sort by the time they were made. */
id128_t id_from_time(usec_t wall_us, id128_t seed);

static inline bool id_equal(id128_t a, id128_t b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}
bool id_is_zero(id128_t id);

/* Writes the usual text form; returns `text`. */
const char *id_text(id128_t id, char text[ID_TEXT_SIZE]);
/* Reads it; false when it is not 36 characters of that form. */
bool id_parse(const char *text, id128_t *ret_id);

/* XXH3, 128 bits, canonical (big-endian) form: the chain hash of the journal and the hash of keys.
 * It finds accidents, not forgeries. */
id128_t id_hash(const void *bytes, size_t len);

#endif
