#include "core/base/check.h"

#include <stdio.h>
#include <stdlib.h>

static check_hook_fn *s_hook;

void check_set_hook(check_hook_fn *hook)
{
    s_hook = hook;
}

void check_failed(const char *condition, const char *file, int line, const char *function)
{
    check_hook_fn *hook = s_hook;
    s_hook = NULL; /* a check that fails inside the hook must not come here for ever */
    fprintf(stderr, "CHECK failed: %s, in %s at %s:%d\n", condition, function, file, line);
    if (hook)
        hook();
    fflush(stderr);
    abort();
}
