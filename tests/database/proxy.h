/* Proxy: a TCP relay in a thread of the test that loses or holds what it relays, once, when the
 * client sends a given word. For what no command can cause: an answer that never arrives.
 */
#ifndef IXN_TESTS_DATABASE_PROXY_H
#define IXN_TESTS_DATABASE_PROXY_H

#include <stdbool.h>

typedef enum {
    PROXY_PASS,
    PROXY_LOSE_REQUEST, /* closes both sides; the server never sees the word */
    PROXY_LOSE_ANSWER,  /* the server gets it and answers; then both sides are closed */
    PROXY_FREEZE,       /* both sides stay open and hear nothing more */
} proxy_fault_t;

typedef struct proxy proxy_t;

/* Relays from a free port of 127.0.0.1 to that port of it. */
proxy_t *proxy_new(int target_port);
void proxy_destroy(proxy_t **self_p);
int proxy_port(const proxy_t *self);
/* Arms the fault for when a client sends `word` after one has sent `after` (static texts). */
void proxy_arm(proxy_t *self, proxy_fault_t fault, const char *after, const char *word);
bool proxy_is_armed(proxy_t *self);

#endif
