/* Plain: recognises, in one pass over the text, the kind of JSON object that nearly all attributes
 * are. The full check (core/attributes.c) reads a text three times and builds a tree of it.
 *
 * Promises: what is plain passes the full check. It never refuses: what it does not know (a number
 * with a fraction, an escape \u…, very many names) it leaves to the full check. Pure.
 */
#ifndef IXN_CORE_PLAIN_H
#define IXN_CORE_PLAIN_H

#include <stdbool.h>

#include "core/base/types.h"

bool plain_object(text_t json);

#endif
