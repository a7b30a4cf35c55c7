#include "core/base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *condition, const char *file, int line, const char *function)
{
    fprintf(stderr, "CHECK failed: %s, in %s at %s:%d\n", condition, function, file, line);
    fflush(stderr);
    abort();
}
