/* Buffer: bytes that grow at the end. Memory is kept when cleared, so a buffer that is used every
 * turn of the loop stops allocating. A value: `{0}` is an empty one.
 */
#ifndef IXN_BASE_BUFFER_H
#define IXN_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *bytes; /* owned; valid until the next call that grows it */
    size_t len;
    size_t capacity;
} buffer_t;

/* Makes room for `extra` more bytes and returns where they go; does not change len. */
uint8_t *buffer_reserve(buffer_t *self, size_t extra);
void buffer_append(buffer_t *self, const void *bytes, size_t len);
void buffer_append_text(buffer_t *self, const char *text); /* without its terminator */
void buffer_printf(buffer_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_clear(buffer_t *self); /* keeps the memory */
void buffer_free(buffer_t *self);  /* back to `{0}` */

#endif
