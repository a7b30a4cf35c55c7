/* Check: what relates one key to another, once every key by itself is allowed.
 */
#ifndef IXN_CONFIG_CHECK_H
#define IXN_CONFIG_CHECK_H

#include "config/place.h"

/* False and the first error, at the place of the key that an operator would change. */
bool check_all(const config_t *config, const places_t *places, error_t *ret_error);

#endif
