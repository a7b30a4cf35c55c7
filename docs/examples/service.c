/* A whole application server: offers the service "shout" (docs/applications.md). Takes the nodes to
 * serve as arguments.
 */
#include <signal.h>

#include "apps/ixn-app/parts/app.h"

static void s_shout(void *context, const app_request_t *request, app_reply_t *reply)
{
    (void)context;
    const char *text = json_string_value(json_object_get(request->parameters, "text"));
    if (!text)
        app_fault(reply, "BAD_PARAMETERS", "shout needs {\"text\": \"…\"}");
    else
        reply->result = json_pack("{s:s+}", "text", text, "!");
}

static volatile int s_stop;

static void s_on_signal(int number)
{
    (void)number;
    s_stop = 1;
}

int main(int argc, char **argv)
{
    static const app_service_t services[] = {{"shout", s_shout, NULL}};
    const app_options_t options = {
        .client = {.endpoints = (const char *const *)(argv + 1),
                   .endpoints_len = (size_t)(argc - 1),
                   .name = "shouter"},
        .type = IXN__V1__APPLICATION_TYPE__APPLICATION_CHAT,
        .services = services,
        .services_len = 1,
    };
    signal(SIGTERM, s_on_signal);
    error_t error;
    return app_run(&options, &s_stop, &error) ? 0 : 1;
}
