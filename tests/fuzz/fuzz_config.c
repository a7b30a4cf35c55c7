/* Fuzzer of the configuration loader: any bytes give a configuration or an error with a place, and
 * what was loaded prints as text that loads to the same print.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "core/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static char *s_print(const config_t *config, size_t *ret_len)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, ret_len);
    CHECK(file);
    config_print(config, file);
    CHECK(fclose(file) == 0);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    error_t error = {0};
    config_t *config = config_parse("f", (const char *)bytes, len, &error);
    if (!config) {
        unsigned line, column;
        CHECK(sscanf(error.text, "f:%u:%u: ", &line, &column) == 2);
        CHECK(line >= 1 && column >= 1);
        for (const char *c = error.text; *c; c++)
            CHECK((unsigned char)*c >= ' ');
        return 0;
    }
    size_t once_len;
    char *once = s_print(config, &once_len);
    config_destroy(&config);
    config = config_parse("f", once, once_len, &error);
    if (!config)
        fprintf(stderr, "%s\n%s\n", error.text, once);
    CHECK(config);
    size_t again_len;
    char *again = s_print(config, &again_len);
    CHECK(once_len == again_len && memcmp(once, again, once_len) == 0);
    config_destroy(&config);
    free(once);
    free(again);
    return 0;
}
