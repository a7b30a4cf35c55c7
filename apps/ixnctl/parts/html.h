/* Html: the text a reader would see of an HTML document, without its marks. libxml2 parses; nothing
 * is fetched, and no document is so broken that it is refused.
 */
#ifndef IXNCTL_HTML_H
#define IXNCTL_HTML_H

#include "core/base/buffer.h"
#include "core/base/types.h"

/* Appends the text of `source` (valid UTF-8, whatever the document itself says about its charset);
 * stops when about `max` bytes were appended. */
void html_append_text(buffer_t *out, text_t source, size_t max);

#endif
