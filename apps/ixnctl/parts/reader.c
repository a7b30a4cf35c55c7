/* Reader: see reader.h. */
#include "apps/ixnctl/parts/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "core/base/alloc.h"

#define BUFFER_SIZE ((size_t)64 * 1024)

struct reader {
    char *path;
    gzFile file;
    char bytes[BUFFER_SIZE];
    size_t from; /* bytes[from … to) are not handed out yet */
    size_t to;
    bool at_end;
    error_t failure; /* told when everything before it is handed out */
    bool inside_line;
    uint64_t lines;
};

reader_t *reader_new(const char *path, error_t *ret_error)
{
    bool input = strcmp(path, "-") == 0;
    errno = 0;
    int descriptor = input ? dup(STDIN_FILENO) : -1;
    gzFile file = NULL;
    if (input)
        file = descriptor >= 0 ? gzdopen(descriptor, "rb") : NULL;
    else
        file = gzopen(path, "rbe");
    if (!file) {
        error_set(ret_error, ERROR_SYSTEM, "%s: cannot be opened: %s", path,
                  errno ? strerror(errno) : "no memory for it");
        if (descriptor >= 0)
            close(descriptor);
        return NULL;
    }
    gzbuffer(file, (unsigned)BUFFER_SIZE);
    reader_t *self = memory_zero(1, sizeof *self);
    self->path = memory_text(input ? "standard input" : path);
    self->file = file;
    return self;
}

void reader_destroy(reader_t **self_p)
{
    reader_t *self = *self_p;
    if (!self)
        return;
    gzclose(self->file);
    free(self->path);
    free(self);
    *self_p = NULL;
}

/* Fills the buffer as far as it goes. */
static void s_fill(reader_t *self)
{
    memmove(self->bytes, self->bytes + self->from, self->to - self->from);
    self->to -= self->from;
    self->from = 0;
    while (!self->at_end && self->to < BUFFER_SIZE) {
        int len = gzread(self->file, self->bytes + self->to, (unsigned)(BUFFER_SIZE - self->to));
        if (len > 0) {
            self->to += (size_t)len;
            continue;
        }
        self->at_end = true;
        int code = Z_OK;
        const char *text = gzerror(self->file, &code); /* "PATH: what" */
        size_t path_len = strlen(self->path);
        if (strncmp(text, self->path, path_len) == 0 && strncmp(text + path_len, ": ", 2) == 0)
            text += path_len + 2;
        if (len < 0 || (code != Z_OK && code != Z_STREAM_END))
            error_set(&self->failure, ERROR_SYSTEM,
                      "%s: reading failed after %llu bytes: %s; what comes after is missing",
                      self->path, (unsigned long long)reader_position(self),
                      code == Z_ERRNO ? strerror(errno) : text);
    }
}

static bool s_failed(reader_t *self, error_t *ret_error)
{
    if (self->failure.code == ERROR_OK)
        return false;
    if (ret_error)
        *ret_error = self->failure;
    self->failure = (error_t){0}; /* then it is the end */
    return true;
}

bool reader_peek(reader_t *self, text_t *ret_bytes, error_t *ret_error)
{
    if (self->to - self->from < BUFFER_SIZE)
        s_fill(self);
    if (self->to == self->from && s_failed(self, ret_error))
        return false;
    *ret_bytes = (text_t){self->bytes + self->from, self->to - self->from};
    return true;
}

reader_result_t reader_line(reader_t *self, reader_line_t *ret_line, error_t *ret_error)
{
    char *start = self->bytes + self->from;
    char *end = memchr(start, '\n', self->to - self->from);
    if (!end && !self->at_end) {
        s_fill(self);
        start = self->bytes;
        end = memchr(start, '\n', self->to);
    }
    size_t len = end ? (size_t)(end - start) + 1 : self->to - self->from;
    if (len == 0)
        return s_failed(self, ret_error) ? READER_FAILED : READER_END;
    if (!self->inside_line)
        self->lines++;
    *ret_line = (reader_line_t){{start, len}, !self->inside_line, self->lines};
    self->inside_line = !end;
    self->from += len;
    return READER_LINE;
}

uint64_t reader_position(const reader_t *self)
{
    z_off_t position = gzoffset(self->file);
    if (position < 0) /* a pipe has no places; then what came out of it counts */
        position = gztell(self->file);
    return position > 0 ? (uint64_t)position : 0;
}
