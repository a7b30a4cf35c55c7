/* Heap: the memory of all scripts of a router, counted and bounded; what lua_newstate is given.
 *
 * Promises: `used` never goes over `limit`, and not over `ceiling` while a step of a script runs,
 * so that one script cannot take what the others need. Lua answers a refusal with a full collection
 * and asks once more; only the second refusal counts, and `exhausted` hears of it. Shrinking and
 * freeing never fail. A value.
 */
#ifndef IXN_ROUTER_HEAP_H
#define IXN_ROUTER_HEAP_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    size_t limit;   /* bytes, of everything together */
    size_t ceiling; /* bytes, at most `limit`: where requests are refused just now */
    size_t used;
    size_t refused; /* size of the request that was refused a moment ago; 0: none */
    void (*exhausted)(void *context);
    void *context;
} heap_t;

void heap_init(heap_t *self, size_t limit);
/* A step may add at most a quarter of the limit to what is used. `exhausted` may be called, with
 * `context`, until the step ends. */
void heap_begin_step(heap_t *self, void (*exhausted)(void *context), void *context);
void heap_end_step(heap_t *self);
/* The lua_Alloc function; `heap` is the heap_t. */
void *heap_allocate(void *heap, void *block, size_t old_size, size_t new_size);

#endif
