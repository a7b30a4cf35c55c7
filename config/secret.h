/* Secret: connection strings as they may be shown.
 *
 * Promises: no password of a well-formed conninfo is in the result, and where the text is malformed
 * it hides too much, never too little; hiding twice changes nothing more. It does not check whether
 * libpq would accept the text.
 */
#ifndef IXN_CONFIG_SECRET_H
#define IXN_CONFIG_SECRET_H

#include "core/base/buffer.h"
#include "core/base/types.h"

/* Appends `conninfo` with every password in it as "********". */
void secret_hide(text_t conninfo, buffer_t *out);

#endif
