/* Entropy, the code: getrandom(2) in portions. */
#include "core/client/entropy.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/check.h"

void entropy_take(entropy_t *self, void *out, size_t len)
{
    CHECK(len <= 256);
    if (self->left < len) {
        /* A portion may come in parts; it does not fail once the kernel has started. */
        size_t filled = 0;
        while (filled < sizeof self->bytes) {
            ssize_t got = getrandom(self->bytes + filled, sizeof self->bytes - filled, 0);
            CHECK(got > 0 || errno == EINTR);
            filled += got > 0 ? (size_t)got : 0;
        }
        self->left = sizeof self->bytes;
    }
    memcpy(out, self->bytes + sizeof self->bytes - self->left, len);
    self->left -= len;
}

usec_t entropy_spread(entropy_t *self, usec_t delay)
{
    uint32_t random = 0;
    entropy_take(self, &random, sizeof random);
    return delay + (usec_t)(random % (uint64_t)(delay / 2 + 1));
}
