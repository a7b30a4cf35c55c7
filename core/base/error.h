/* Error codes and errors: what went wrong in the outside world, with a sentence for a person.
 *
 * Promises: every code that a client can hear is in one table, with its number and its sentence;
 * numbers never change. Wrong programs do not come here: they hit a CHECK (core/base/check.h).
 */
#ifndef IXN_BASE_ERROR_H
#define IXN_BASE_ERROR_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

/* glibc has a type of this name too: an int, in <errno.h> and <argp.h>. Ours takes the name from
 * here on, whichever header comes first. A program that uses argp includes <argp.h> before this
 * one, and its parsers return int. */
#define error_t ixn_error_t

/* X(NAME, number, sentence). The numbers are those of `enum Code` in core/wire/client.proto;
 * tests/unit/test_error.c holds the two tables against each other. */
#define ERROR_CODES(X)                                                                             \
    X(OK, 0, "done")                                                                               \
    X(MALFORMED, 1, "the message cannot be decoded")                                               \
    X(UNSUPPORTED_VERSION, 2, "this protocol version is not spoken here")                          \
    X(TOO_LARGE, 3, "the message or a field of it is over its limit")                              \
    X(NOT_REGISTERED, 4, "register first")                                                         \
    X(WRONG_ROLE, 5, "this request is not for the role that was registered")                       \
    X(INVALID_ARGUMENT, 6, "a field has a value that is not allowed")                              \
    X(INVALID_ATTRIBUTES, 7, "the attributes are not a valid JSON object")                         \
    X(UNKNOWN_TENANT, 8, "no such tenant")                                                         \
    X(UNKNOWN_QUEUE, 9, "no such queue")                                                           \
    X(UNKNOWN_INTERACTION, 10, "no such interaction")                                              \
    X(ALREADY_COMPLETED, 11, "the interaction is already completed")                               \
    X(WRONG_STATE, 12, "the interaction's state does not allow this")                              \
    X(VERSION_CONFLICT, 13, "the interaction has another version than the one expected")           \
    X(OLD_TOKEN, 14, "the token is no longer the one that holds this work")                        \
    X(KEY_REUSED, 15, "this key was used before for a different content")                          \
    X(NAME_IN_USE, 16, "another live client is registered under this name")                        \
    X(UNKNOWN_STRATEGY, 17, "no such strategy")                                                    \
    X(ALREADY_REGISTERED, 18, "this connection is registered already, as somebody else")           \
    X(UNKNOWN_AGENT, 19, "no such agent")                                                          \
    X(AGENT_RESERVED, 20, "the agent is reserved for other work")                                  \
    X(UNKNOWN_ROUTER, 21, "no such router")                                                        \
    X(UNKNOWN_CLUSTER, 26, "no such application cluster")                                          \
    X(NOT_DECLARED, 27, "the servers of this type do not say what they offer")                     \
    X(POISON, 29, "this crashed the nodes that tried it")                                          \
    X(CONFIGURATION, 30, "the configuration is not valid")                                         \
    X(DATABASE_UNREACHABLE, 40, "the database cannot be reached")                                  \
    X(DATABASE_EMPTY, 41, "the database holds no ixn schema")                                      \
    X(DATABASE_SCHEMA, 42, "the database's schema is not the one this program needs")              \
    X(DATABASE_WRONG, 43, "this is not the pair's own database")                                   \
    X(DATABASE_FENCED, 44, "another node has taken over")                                          \
    X(DATABASE_DIVERGED, 45, "the journal does not continue what this node committed")             \
    X(DATABASE_REFUSED, 46, "the database refused the statement")                                  \
    X(SYSTEM, 50, "the operating system refused")                                                  \
    X(TIMED_OUT, 51, "no answer in time")

typedef enum {
#define X(name, number, sentence) ERROR_##name = (number),
    ERROR_CODES(X)
#undef X
} error_code_t;

/* One error: its code and one line of text that says what, where, the values that disagree and
 * what to do. Caller owns it; `{0}` is "no error". Text is always terminated, cut at the end. */
typedef struct {
    error_code_t code;
    char text[500];
} error_t;

/* Sets code and text (printf-like). `self` may be NULL when the caller does not care. Returns
 * false, so that `return error_set(…)` reads as what it is. */
bool error_set(error_t *self, error_code_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The name of a code ("OLD_TOKEN") and its sentence; for a number not in the table "UNKNOWN_CODE"
 * and "this code is not known here". Static strings. */
const char *error_name(error_code_t code);
const char *error_sentence(error_code_t code);

#endif
