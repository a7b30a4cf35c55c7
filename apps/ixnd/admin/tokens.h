/* Tokens: who may use the admin port, from a file that only its owner can read. A line is
 *
 *     ROLE NAME TOKEN
 *
 * with a role of viewer, operator, administrator; empty lines and lines that begin with # are
 * skipped. The file is read again when it has changed; one that is wrong then is refused as a whole
 * and what was known stays.
 */
#ifndef IXN_ADMIN_TOKENS_H
#define IXN_ADMIN_TOKENS_H

#include <stdbool.h>

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/types.h"

/* Each may what the ones before it may. */
typedef enum {
    RIGHT_NONE,          /* what load balancers ask */
    RIGHT_VIEWER,        /* looks */
    RIGHT_OPERATOR,      /* changes interactions */
    RIGHT_ADMINISTRATOR, /* changes the roles of the pair */
} right_t;

const char *right_name(right_t role);

typedef struct {
    right_t role;
    char name[LIMIT_NAME + 1];
} token_owner_t;

typedef struct tokens tokens_t;

tokens_t *tokens_new(const char *path, error_t *ret_error);
void tokens_destroy(tokens_t **self_p);
/* Reads the file again if it has changed. False and an error: it is wrong, and not used. */
bool tokens_refresh(tokens_t *self, error_t *ret_error);
/* Whose token this is. Takes the same time for every wrong one. */
bool tokens_find(const tokens_t *self, text_t token, token_owner_t *ret_owner);

#endif
