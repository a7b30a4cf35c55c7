/* Held: the tokens of work that a router has, reported at every registration.
 */
#ifndef IXN_CLIENT_HELD_H
#define IXN_CLIENT_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t epoch; /* 0: no token */
    uint64_t index;
} held_token_t;

typedef struct held_entry held_entry_t;

/* A value; `{0}` is empty. */
typedef struct {
    held_entry_t *entries;
} held_t;

bool held_add(held_t *self, held_token_t token);    /* false: it was there */
void held_remove(held_t *self, held_token_t token); /* not there: nothing changes */
size_t held_count(const held_t *self);
/* Copies up to `max` tokens, the oldest first; returns how many. */
size_t held_list(const held_t *self, held_token_t *ret_tokens, size_t max);
void held_free(held_t *self);

#endif
