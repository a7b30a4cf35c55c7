/* Places: where in the file each value stands, for errors that point at it, and how a value is
 * shown in them.
 */
#ifndef IXN_CONFIG_PLACE_H
#define IXN_CONFIG_PLACE_H

#include "config/schema.h"

/* Both count from 1, columns in characters; line 0: not in the file. */
typedef struct {
    uint32_t line;
    uint32_t column;
} place_t;

/* Owned by whoever loads; freed by places_free. */
typedef struct {
    const char *file; /* as errors name it; borrowed */
    place_t sections[SCHEMA_SECTIONS];
    place_t *items[SCHEMA_SECTIONS]; /* lists: one an item */
    place_t *keys[SCHEMA_SECTIONS];  /* values: keys_len an item */
} places_t;

void places_free(places_t *self);

/* Whether the file says something about a key of an item. */
bool places_given(const places_t *self, schema_section_id_t section, size_t item, size_t key);
/* Where it says it; where it does not: the item, the section, or the beginning of the file. */
place_t places_of(const places_t *self, schema_section_id_t section, size_t item, size_t key);
place_t places_of_item(const places_t *self, schema_section_id_t section, size_t item);

/* Sets a CONFIGURATION error that begins with "FILE:LINE:COLUMN: ". Returns false. */
bool places_error(const places_t *self, place_t place, error_t *ret_error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A value between backquotes for an error: cut after 60 bytes, control characters as "?". `value`
 * must be valid UTF-8. Returns `shown`. */
#define PLACE_SHOWN_SIZE 80
const char *place_show(text_t value, char shown[PLACE_SHOWN_SIZE]);

#endif
