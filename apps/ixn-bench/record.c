#include "apps/ixn-bench/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/buffer.h"

#define S_FLUSH_AT (64 * 1024)

struct record {
    int file;
    buffer_t lines;
};

record_t *record_new(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0) {
        fprintf(stderr, "ixn-bench: cannot open the record \"%s\": %m\n", path);
        return NULL;
    }
    record_t *self = memory_zero(1, sizeof *self);
    self->file = file;
    return self;
}

void record_destroy(record_t **self_p)
{
    record_t *self = *self_p;
    if (!self)
        return;
    record_flush(self);
    close(self->file);
    buffer_free(&self->lines);
    free(self);
    *self_p = NULL;
}

/* A record with holes would prove nothing: no disk, no run. */
void record_flush(record_t *self)
{
    if (!self)
        return;
    size_t done = 0;
    while (done < self->lines.len) {
        ssize_t len = write(self->file, self->lines.bytes + done, self->lines.len - done);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0) {
            fprintf(stderr, "ixn-bench: cannot write the record: %m; the run is void\n");
            exit(1);
        }
        done += (size_t)len;
    }
    buffer_clear(&self->lines);
}

static void s_written(record_t *self)
{
    if (self->lines.len >= S_FLUSH_AT)
        record_flush(self);
}

static int64_t s_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * USEC_PER_SECOND + now.tv_nsec / 1000;
}

void record_acknowledged(record_t *self, id128_t key, id128_t id)
{
    if (!self)
        return;
    char key_text[ID_TEXT_SIZE];
    char text[ID_TEXT_SIZE];
    buffer_printf(&self->lines,
                  "{\"event\":\"acknowledged\",\"key\":\"%s\",\"id\":\"%s\",\"at_us\":%" PRId64
                  "}\n",
                  id_text(key, key_text), id_text(id, text), s_wall_us());
    s_written(self);
}

void record_refused(record_t *self, id128_t key, const char *code)
{
    if (!self)
        return;
    char key_text[ID_TEXT_SIZE];
    buffer_printf(&self->lines, "{\"event\":\"refused\",\"key\":\"%s\",\"code\":\"%s\"}\n",
                  id_text(key, key_text), code);
    s_written(self);
}

void record_unknown(record_t *self, id128_t key)
{
    if (!self)
        return;
    char key_text[ID_TEXT_SIZE];
    buffer_printf(&self->lines, "{\"event\":\"unknown\",\"key\":\"%s\"}\n", id_text(key, key_text));
    s_written(self);
}

void record_completed(record_t *self, id128_t id, uint64_t epoch, uint64_t index)
{
    if (!self)
        return;
    char text[ID_TEXT_SIZE];
    buffer_printf(&self->lines,
                  "{\"event\":\"completed\",\"id\":\"%s\",\"epoch\":%" PRIu64 ",\"index\":%" PRIu64
                  ",\"at_us\":%" PRId64 "}\n",
                  id_text(id, text), epoch, index, s_wall_us());
    s_written(self);
}
