/* Records: what the admin port reads from and writes into the pair's database: roles of the past,
 * the audit, the log. A thread with connections of its own, which open again by themselves; it does
 * one thing at a time, each within its deadline. Every statement names the database by its id, so a
 * way that leads to another one gives nothing and is passed over.
 */
#ifndef IXN_ADMIN_RECORDS_H
#define IXN_ADMIN_RECORDS_H

#include <czmq.h>
#include <libpq-fe.h>

#include "config/config.h"
#include "core/base/error.h"

#define RECORDS_PARAMS 12

typedef struct records records_t;

/* `result` is the rows (valid during the call), or NULL and `error` says why. */
typedef void records_answer_fn(void *context, const PGresult *result, const error_t *error);

records_t *records_new(const config_t *config);
void records_destroy(records_t **self_p); /* what is unanswered ends with an error */

/* Asks; false when as much as is allowed waits. `sql` lives for ever; its $1 is the database's id,
 * `params` are $2 and on (copied; NULL: null), all of them text. It must return a row where $1 is
 * the id of the database (ixn.pair), and none otherwise. */
bool records_ask(records_t *self, const char *database_id, const char *sql,
                 const char *const *params, size_t params_len, records_answer_fn *answer,
                 void *context);

/* The same of what the audit keeps: places of its own, and it comes before all questions. */
bool records_audit(records_t *self, const char *database_id, const char *sql,
                   const char *const *params, size_t params_len, records_answer_fn *answer,
                   void *context);

/* The same of a question whose work grows with what is in the tables: at most one at a time, and
 * the server itself ends it after RECORDS_SEARCH_MS. */
enum { RECORDS_SEARCH_MS = 4000 };
bool records_search(records_t *self, const char *database_id, const char *sql,
                    const char *const *params, size_t params_len, records_answer_fn *answer,
                    void *context);

zsock_t *records_socket(records_t *self);
void records_turn(records_t *self);

#endif
