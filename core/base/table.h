/* Table: uthash as we use it. Its own hash takes twice as many instructions as XXH3 for keys of a
 * few bytes; and memory is taken as everywhere here (core/base/alloc.h). Whoever uses uthash
 * includes this.
 */
#ifndef IXN_BASE_TABLE_H
#define IXN_BASE_TABLE_H

#include <xxhash.h>

#include "core/base/alloc.h"

#define HASH_FUNCTION(key, len, hash) ((hash) = (unsigned)XXH3_64bits((key), (len)))
#define uthash_malloc(size) memory_new(size)

#include <uthash.h>

#endif
