/* Services: the reference services that `ixn-app serve` offers. Each is a function of
 * apps/ixn-app/parts/app.h.
 */
#ifndef IXN_APP_SERVICES_H
#define IXN_APP_SERVICES_H

#include "apps/ixn-app/parts/app.h"

/* "classify": {"text": …, "subject"?: …} → {"label", "probability", "labels": {label: p, …}}.
 * Context: a classifier_t. */
void service_classify(void *context, const app_request_t *request, app_reply_t *reply);

/* "render": {name: value, …} → {"text"}. Context: a text_t, the template. */
void service_render(void *context, const app_request_t *request, app_reply_t *reply);

/* "echo" (under whatever names it is offered): gives its parameters back, as
 * {"echo": …, "service", "method", "server", "attempt"}. For tests it does as they say:
 * {"delay_ms": N}, {"fault": CODE}, {"exit": true}: the process ends at once. Context: its name. */
void service_echo(void *context, const app_request_t *request, app_reply_t *reply);

#endif
