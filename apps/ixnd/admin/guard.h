/* Guard: whether a request may do what it asks: by its token, and, for browsers, by where it comes
 * from. Pure: what the request says goes in, a verdict comes out.
 *
 *   - Without tokens the port is bound to loopback (the configuration sees to that) and who reaches
 *     it is an administrator, as everybody on this machine is at the client port. A browser on this
 *     machine must not lend that right to a page from elsewhere: requests must name the port by an
 *     address, "localhost" or its configured host (a name that somebody else resolves to loopback
 * is refused).
 *   - A change must be JSON (which a form cannot send), and when a browser says where it comes
 * from, that must be this port or the other node's.
 */
#ifndef IXN_ADMIN_GUARD_H
#define IXN_ADMIN_GUARD_H

#include "apps/ixnd/admin/tokens.h"

/* As the request says it; NULL: not at all. */
typedef struct {
    const char *authorization;
    const char *host;
    const char *origin;
    const char *content_type;
    const char *fetch_site; /* Sec-Fetch-Site */
    bool changes;           /* its method is not one of GET, HEAD, OPTIONS */
} guard_request_t;

typedef struct {
    const tokens_t *tokens; /* NULL: none are configured */
    const char *own_host;   /* of admin.endpoint, without port */
    const char *own_url;    /* such as https://node-a:7430 */
    const char *peer_url;   /* of the other node; empty: not known */
} guard_t;

typedef struct {
    bool allowed;
    unsigned status; /* of the refusal: 401, 403, 415, 421 */
    const char *code;
    char sentence[300];
    token_owner_t who;
    bool from_peer; /* a page of the other node's asks: it may read the answer */
} verdict_t;

verdict_t guard_judge(const guard_t *self, const guard_request_t *request, right_t needed);

#endif
