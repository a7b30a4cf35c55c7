/* Places: see place.h. */
#include "config/place.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unictype.h>
#include <unistr.h>

void places_free(places_t *self)
{
    for (size_t i = 0; i < SCHEMA_SECTIONS; i++) {
        free(self->items[i]);
        free(self->keys[i]);
    }
    *self = (places_t){0};
}

bool places_given(const places_t *self, schema_section_id_t section, size_t item, size_t key)
{
    const place_t *places = self->keys[section];
    return places && places[item * schema_sections[section].keys_len + key].line != 0;
}

place_t places_of(const places_t *self, schema_section_id_t section, size_t item, size_t key)
{
    if (places_given(self, section, item, key))
        return self->keys[section][item * schema_sections[section].keys_len + key];
    return places_of_item(self, section, item);
}

place_t places_of_item(const places_t *self, schema_section_id_t section, size_t item)
{
    if (self->items[section])
        return self->items[section][item];
    if (self->sections[section].line != 0)
        return self->sections[section];
    schema_section_id_t parent = schema_sections[section].parent;
    if (parent != SCHEMA_TOP && self->sections[parent].line != 0)
        return self->sections[parent];
    return (place_t){1, 1};
}

bool places_error(const places_t *self, place_t place, error_t *ret_error, const char *format, ...)
{
    char sentence[sizeof ret_error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return error_set(ret_error, ERROR_CONFIGURATION, "%s:%u:%u: %s", self->file, place.line,
                     place.column, sentence);
}

const char *place_show(text_t value, char shown[PLACE_SHOWN_SIZE])
{
    static const char dots[] = "...";
    const size_t max = 60;
    size_t len = 0;
    size_t in = 0;
    shown[len++] = '`';
    while (in < value.len) {
        ucs4_t character;
        int used = u8_mbtouc(&character, (const uint8_t *)value.data + in, value.len - in);
        if (len + (size_t)used > max) {
            memcpy(shown + len, dots, sizeof dots - 1);
            len += sizeof dots - 1;
            break;
        }
        if (uc_is_cntrl(character)) {
            shown[len++] = '?';
        } else {
            memcpy(shown + len, value.data + in, (size_t)used);
            len += (size_t)used;
        }
        in += (size_t)used;
    }
    shown[len++] = '`';
    shown[len] = 0;
    return shown;
}
