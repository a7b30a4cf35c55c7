/* Asking: the router's requests, made from jobs.
 */
#ifndef IXN_ROUTER_ASKING_H
#define IXN_ROUTER_ASKING_H

#include "apps/ixn-router/parts/jobs.h"
#include "apps/ixn-router/parts/strategies.h"
#include "core/client/client.h"

/* One request a job and some announcements: more than a node lets a router hold. */
#define ASKING_UNANSWERED 200000

/* Sends what the job's state and outcome say: ChangeProperties, PlaceInQueue, Stop or RouteFailed;
 * the same again when asked again. Returns the request's id, 0 when the client takes no more now.
 */
uint64_t asking_send(ixn_client_t *client, const job_t *job);

/* The result was refused: the run's outcome becomes a failure that says so with the script's line.
 */
void asking_fail_refused(job_t *job, error_code_t code, const char *sentence);

/* StrategyLoaded or StrategyUnloaded. */
void asking_announce(ixn_client_t *client, const strategy_t *strategy, bool is_loaded);

/* About strategies of the node's store: it is loaded; it cannot be; its body, please (0: not now).
 */
void asking_stored_loaded(ixn_client_t *client, const strategy_t *strategy);
void asking_stored_failed(ixn_client_t *client, const char *name, uint32_t version,
                          const char *reason);
uint64_t asking_get_strategy(ixn_client_t *client, const char *name, uint32_t version);

#endif
