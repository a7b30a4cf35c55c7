/* Assets: the files of the operator's page and the description of the port, inside the program. */
#ifndef IXN_ADMIN_ASSETS_H
#define IXN_ADMIN_ASSETS_H

#include "core/base/types.h"

typedef struct {
    const char *name;
    text_t bytes;
} asset_t;

extern const asset_t assets[];
extern const size_t assets_len;

#endif
