#include "core/base/alloc.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"

void *memory_new(size_t size)
{
    void *block = malloc(size ? size : 1);
    CHECK(block);
    return block;
}

void *memory_zero(size_t count, size_t size)
{
    void *block = calloc(count ? count : 1, size ? size : 1);
    CHECK(block);
    return block;
}

void *memory_resize(void *block, size_t size)
{
    void *moved = realloc(block, size ? size : 1);
    CHECK(moved);
    return moved;
}

void *memory_copy(const void *source, size_t size)
{
    if (size == 0)
        return NULL;
    return memcpy(memory_new(size), source, size);
}

char *memory_text(const char *source)
{
    return memory_copy(source, strlen(source) + 1);
}
