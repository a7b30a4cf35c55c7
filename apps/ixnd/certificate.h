/* Certificate: the pair's key, as `ixnctl pair keygen` writes it: a CURVE certificate of czmq with
 * its secret key. The same file is on both nodes.
 */
#ifndef IXN_APPS_IXND_CERTIFICATE_H
#define IXN_APPS_IXND_CERTIFICATE_H

#include "core/base/error.h"

#define CERTIFICATE_KEY_SIZE 32
#define CERTIFICATE_TEXT_SIZE 41 /* a key in Z85 and the terminator */

typedef struct {
    char public_text[CERTIFICATE_TEXT_SIZE];
    char secret_text[CERTIFICATE_TEXT_SIZE];
    uint8_t public_key[CERTIFICATE_KEY_SIZE];
} certificate_t;

/* Reads a certificate. False and an error: SYSTEM when it cannot be read, CONFIGURATION when others
 * may read it, when it is none, or when its two keys do not belong together. */
bool certificate_read(const char *path, certificate_t *ret_certificate, error_t *ret_error);

#endif
