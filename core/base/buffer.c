#include "core/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

uint8_t *buffer_reserve(buffer_t *self, size_t extra)
{
    size_t needed = self->len + extra;
    if (needed > self->capacity) {
        size_t capacity = self->capacity ? self->capacity : 256;
        while (capacity < needed)
            capacity *= 2;
        self->bytes = memory_resize(self->bytes, capacity);
        self->capacity = capacity;
    }
    return self->bytes + self->len;
}

void buffer_append(buffer_t *self, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    memcpy(buffer_reserve(self, len), bytes, len);
    self->len += len;
}

void buffer_append_text(buffer_t *self, const char *text)
{
    buffer_append(self, text, strlen(text));
}

void buffer_printf(buffer_t *self, const char *format, ...)
{
    enum { USUAL = 128 };
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf((char *)buffer_reserve(self, USUAL), USUAL, format, arguments);
    CHECK(len >= 0);
    if (len >= USUAL)
        vsnprintf((char *)buffer_reserve(self, (size_t)len + 1), (size_t)len + 1, format, again);
    va_end(again);
    va_end(arguments);
    self->len += (size_t)len;
}

void buffer_clear(buffer_t *self)
{
    self->len = 0;
}

void buffer_free(buffer_t *self)
{
    free(self->bytes);
    *self = (buffer_t){0};
}
