#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixn-app/parts/classifier.h"
#include "core/base/alloc.h"
#include "core/base/id.h"

enum { HELD_OUT_OF = 5 };

static void s_add(examples_t *self, char *text, char *label)
{
    if (self->len == self->capacity) {
        self->capacity = self->capacity * 2 + 256;
        self->texts = memory_resize(self->texts, self->capacity * sizeof *self->texts);
        self->labels = memory_resize(self->labels, self->capacity * sizeof *self->labels);
    }
    self->texts[self->len] = text;
    self->labels[self->len++] = label;
}

static bool s_read_line(examples_t *self, const char *path, size_t number, const char *line,
                        size_t len, error_t *ret_error)
{
    json_error_t problem;
    json_t *object = json_loadb(line, len, 0, &problem);
    const char *text = json_string_value(json_object_get(object, "text"));
    const char *label = json_string_value(json_object_get(object, "label"));
    bool ok = text && label && *label;
    if (!object)
        error_set(ret_error, ERROR_INVALID_ARGUMENT, "%s:%zu: not JSON: %s", path, number,
                  problem.text);
    else if (!ok)
        error_set(ret_error, ERROR_INVALID_ARGUMENT,
                  "%s:%zu: an example is an object with the texts \"text\" and \"label\"", path,
                  number);
    else
        s_add(self, memory_text(text), memory_text(label));
    json_decref(object);
    return ok;
}

bool examples_read(examples_t *self, const char *path, error_t *ret_error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(ret_error, ERROR_SYSTEM, "%s: cannot be opened: %s", path,
                         strerror(errno));
    char *line = NULL;
    size_t capacity = 0, number = 0;
    ssize_t len;
    bool ok = true;
    while (ok && (len = getline(&line, &capacity, file)) >= 0) {
        number++;
        if (strspn(line, " \t\r\n") < (size_t)len)
            ok = s_read_line(self, path, number, line, (size_t)len, ret_error);
    }
    if (ok && ferror(file))
        ok = error_set(ret_error, ERROR_SYSTEM, "%s: cannot be read: %s", path, strerror(errno));
    free(line);
    fclose(file);
    return ok;
}

void examples_split(examples_t *self, examples_t *ret_held_out)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->len; i++) {
        id128_t hash = id_hash(self->texts[i], strlen(self->texts[i]));
        if (hash.bytes[0] % HELD_OUT_OF == 0) {
            s_add(ret_held_out, self->texts[i], self->labels[i]);
        } else {
            self->texts[kept] = self->texts[i];
            self->labels[kept++] = self->labels[i];
        }
    }
    self->len = kept;
}

void examples_free(examples_t *self)
{
    for (size_t i = 0; i < self->len; i++) {
        free(self->texts[i]);
        free(self->labels[i]);
    }
    free(self->texts);
    free(self->labels);
    *self = (examples_t){0};
}
