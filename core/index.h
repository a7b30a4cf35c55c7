/* Index: from a 128-bit key to a 32-bit handle, for millions of entries. It grows in steps: each
 * insertion clears or moves a few cells, so that no single one pauses the loop. 11 to 21 bytes an
 * entry, 32 for a short time before and after it grows. Keys are compared through the owner, which
 * has them anyway. Pure.
 */
#ifndef IXN_CORE_INDEX_H
#define IXN_CORE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/id.h"

/* The key of a handle that is in the index. */
typedef const id128_t *index_key_fn(const void *owner, uint32_t handle);

typedef struct index_t index_t;
index_t *index_new(index_key_fn *key_of, const void *owner);
void index_destroy(index_t **self_p);

/* `key` must not be in it yet. Handles are < UINT32_MAX. */
void index_insert(index_t *self, const id128_t *key, uint32_t handle);
bool index_find(const index_t *self, const id128_t *key, uint32_t *ret_handle);
/* `key` will be looked for, inserted or removed soon: the memory for that is on its way while
 * something else is done. Among a million keys each is a cache miss. */
void index_prefetch(const index_t *self, const id128_t *key);
/* `key` must be in it. Call while the owner still knows the handle's key. */
void index_remove(index_t *self, const id128_t *key);
size_t index_count(const index_t *self);
size_t index_memory(const index_t *self); /* bytes */

#endif
