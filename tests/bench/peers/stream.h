/* Stream: a TCP connection that never waits when it reads, with room for what came and what goes.
 */
#ifndef IXN_BENCH_PEERS_STREAM_H
#define IXN_BENCH_PEERS_STREAM_H

#include "core/base/buffer.h"

#include <stdbool.h>

typedef struct {
    int fd;
    buffer_t in;  /* from `taken` on it is not used yet */
    size_t taken; /* bytes of `in` */
    buffer_t out;
} stream_t;

/* HOST:PORT, an address, not a name. */
void stream_open(stream_t *self, const char *at);
void stream_close(stream_t *self);
void stream_fill(stream_t *self);  /* reads all that is there */
bool stream_flush(stream_t *self); /* sends `out`, all of it; false when it was empty */

/* What is not used yet. */
static inline const char *stream_rest(const stream_t *self)
{
    return (const char *)self->in.bytes + self->taken;
}
static inline size_t stream_len(const stream_t *self)
{
    return self->in.len - self->taken;
}
/* The next line, its \r\n cut off and \0 in place of it; NULL when it is not whole yet. Valid until
 * the next fill. */
char *stream_line(stream_t *self);

#endif
