#include "apps/ixnd/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { TEXT_MAX = 8192, MODE_OF_OTHERS = 0077 };

static void s_not_opened(const char *path, int number, error_t *ret_error)
{
    if (number == EACCES)
        error_set(
            ret_error, ERROR_SYSTEM,
            "pair.certificate %s: cannot be opened: %s; make the user of ixnd (number %u) its "
            "owner: chown %u %s, and let it into the folders above",
            path, strerror(number), (unsigned)geteuid(), (unsigned)geteuid(), path);
    else
        error_set(ret_error, ERROR_SYSTEM,
                  "pair.certificate %s: cannot be opened: %s; make it with `ixnctl pair keygen %s` "
                  "on one node and copy it to the other",
                  path, strerror(number), path);
}

/* The whole file. Looks at the open file, so that what was checked is what is read. */
static bool s_read(const char *path, char text[TEXT_MAX], error_t *ret_error)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0) {
        s_not_opened(path, errno, ret_error);
        if (file >= 0)
            close(file);
        return false;
    }
    bool ok = false;
    ssize_t len;
    if (!S_ISREG(status.st_mode))
        error_set(ret_error, ERROR_CONFIGURATION, "pair.certificate %s: is no file", path);
    else if (status.st_mode & MODE_OF_OTHERS)
        error_set(ret_error, ERROR_CONFIGURATION,
                  "pair.certificate %s: has mode %04o, so that others than its owner may have read "
                  "the pair's key; at most 0600 is accepted: chmod 600 %s (and make a new one if "
                  "somebody may have read it)",
                  path, (unsigned)(status.st_mode & 07777), path);
    else if ((len = read(file, text, TEXT_MAX - 1)) < 0)
        error_set(ret_error, ERROR_SYSTEM, "pair.certificate %s: cannot be read: %s", path,
                  strerror(errno));
    else {
        text[len] = '\0';
        ok = true;
    }
    close(file);
    return ok;
}

/* The value of one key, 40 characters in quotes. Not by czmq's reader of such files: it writes a
 * line that it does not understand into the log, and with it perhaps the secret. */
static bool s_find(const char *text, const char *key, char value[CERTIFICATE_TEXT_SIZE])
{
    const char *at = strstr(text, key);
    if (!at)
        return false;
    at += strlen(key);
    at += strspn(at, " \t");
    if (*at++ != '=')
        return false;
    at += strspn(at, " \t");
    if (*at++ != '"' || strcspn(at, "\"\n") != CERTIFICATE_TEXT_SIZE - 1 ||
        at[CERTIFICATE_TEXT_SIZE - 1] != '"')
        return false;
    memcpy(value, at, CERTIFICATE_TEXT_SIZE - 1);
    value[CERTIFICATE_TEXT_SIZE - 1] = '\0';
    return true;
}

static bool s_parse(const char *text, certificate_t *certificate)
{
    uint8_t secret_key[CERTIFICATE_KEY_SIZE];
    bool ok = s_find(text, "public-key", certificate->public_text) &&
              s_find(text, "secret-key", certificate->secret_text) &&
              zmq_z85_decode(certificate->public_key, certificate->public_text) &&
              zmq_z85_decode(secret_key, certificate->secret_text);
    explicit_bzero(secret_key, sizeof secret_key);
    return ok;
}

bool certificate_read(const char *path, certificate_t *ret_certificate, error_t *ret_error)
{
    char text[TEXT_MAX];
    if (!s_read(path, text, ret_error))
        return false;
    certificate_t found = {0};
    bool ok = s_parse(text, &found);
    explicit_bzero(text, sizeof text);
    if (!ok)
        return error_set(ret_error, ERROR_CONFIGURATION,
                         "pair.certificate %s: has no public-key and secret-key of 40 characters "
                         "each; make it with `ixnctl pair keygen FILE`",
                         path);
    char belongs[CERTIFICATE_TEXT_SIZE] = "";
    if (zmq_curve_public(belongs, found.secret_text) != 0 ||
        strcmp(belongs, found.public_text) != 0)
        return error_set(ret_error, ERROR_CONFIGURATION,
                         "pair.certificate %s: its public key is %s, but the one that belongs to "
                         "its secret key is %s; copy the whole file again",
                         path, found.public_text, belongs);
    *ret_certificate = found;
    return true;
}
