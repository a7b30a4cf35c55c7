#include "core/base/error.h"

#include <stdarg.h>
#include <stdio.h>

bool error_set(error_t *self, error_code_t code, const char *format, ...)
{
    if (self) {
        va_list arguments;
        va_start(arguments, format);
        self->code = code;
        vsnprintf(self->text, sizeof self->text, format, arguments);
        va_end(arguments);
    }
    return false;
}

const char *error_name(error_code_t code)
{
    switch (code) {
#define X(name, number, sentence)                                                                  \
    case ERROR_##name:                                                                             \
        return #name;
        ERROR_CODES(X)
#undef X
    }
    return "UNKNOWN_CODE";
}

const char *error_sentence(error_code_t code)
{
    switch (code) {
#define X(name, number, sentence)                                                                  \
    case ERROR_##name:                                                                             \
        return sentence;
        ERROR_CODES(X)
#undef X
    }
    return "this code is not known here";
}
