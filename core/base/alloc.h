/* Memory: out of memory in the middle of a decided change cannot be undone, so it is a CHECK; sizes
 * are bounded by core/base/limits.h before they come here.
 */
#ifndef IXN_BASE_ALLOC_H
#define IXN_BASE_ALLOC_H

#include <stddef.h>

/* As malloc, calloc, realloc and memdup; never NULL (except size 0 of memory_copy). Free with
 * free(). */
void *memory_new(size_t size);
void *memory_zero(size_t count, size_t size);
void *memory_resize(void *block, size_t size);
void *memory_copy(const void *source, size_t size);
char *memory_text(const char *source);

#endif
