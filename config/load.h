/* Load, from inside config/: the same as config_parse, with the places that the checks and the
 * tests need.
 */
#ifndef IXN_CONFIG_LOAD_H
#define IXN_CONFIG_LOAD_H

#include "config/place.h"

/* As config_parse; on success the caller also owns `ret_places`. */
config_t *load_parse(const char *name, text_t text, places_t *ret_places, error_t *ret_error);

#endif
