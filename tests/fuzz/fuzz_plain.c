/* Plain JSON: what it accepts in one pass, the library accepts, too. */
#include <jansson.h>
#include <stdlib.h>

#include "core/base/limits.h"
#include "core/plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (!plain_object((text_t){(const char *)bytes, len}))
        return 0;
    json_t *object = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object) || len > LIMIT_ATTRIBUTES_STORED)
        abort();
    json_decref(object);
    return 0;
}
