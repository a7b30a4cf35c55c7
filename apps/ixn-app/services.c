#include "apps/ixn-app/services.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/ixn-app/parts/classifier.h"
#include "apps/ixn-app/parts/template.h"
#include "core/base/alloc.h"

void service_classify(void *context, const app_request_t *request, app_reply_t *reply)
{
    const classifier_t *classifier = context;
    const json_t *text = json_object_get(request->parameters, "text");
    const json_t *subject = json_object_get(request->parameters, "subject");
    if (!json_is_string(text)) {
        app_fault(reply, "BAD_PARAMETERS", "classify needs {\"text\": \"…\"}");
        return;
    }
    buffer_t all = {0};
    if (json_is_string(subject))
        buffer_printf(&all, "%s\n", json_string_value(subject));
    buffer_append_text(&all, json_string_value(text));
    double *probabilities = memory_zero(classifier_labels(classifier), sizeof *probabilities);
    size_t best =
        classifier_classify(classifier, (text_t){(char *)all.bytes, all.len}, probabilities);
    json_t *labels = json_object();
    for (size_t i = 0; i < classifier_labels(classifier); i++)
        json_object_set_new(labels, classifier_label(classifier, i), json_real(probabilities[i]));
    reply->result = json_pack("{s:s,s:f,s:o}", "label", classifier_label(classifier, best),
                              "probability", probabilities[best], "labels", labels);
    free(probabilities);
    buffer_free(&all);
}

void service_render(void *context, const app_request_t *request, app_reply_t *reply)
{
    enum { HEADROOM = 1024 };
    const text_t *source = context;
    buffer_t out = {0};
    error_t error;
    if (!template_render(*source, request->parameters, LIMIT_SERVICE_TEXT / 2 - HEADROOM, &out,
                         &error))
        app_fault(reply, "BAD_PARAMETERS", "%.250s", error.text);
    else
        reply->result = json_pack("{s:s%}", "text", (char *)out.bytes, out.len);
    if (!reply->result && !reply->fault[0])
        app_fault(reply, "BAD_PARAMETERS", "the rendered text is not UTF-8");
    buffer_free(&out);
}

void service_echo(void *context, const app_request_t *request, app_reply_t *reply)
{
    const json_t *delay = json_object_get(request->parameters, "delay_ms");
    const json_t *fault = json_object_get(request->parameters, "fault");
    if (json_is_true(json_object_get(request->parameters, "exit")))
        _exit(70);
    if (json_is_integer(delay) && json_integer_value(delay) > 0)
        reply->delay_ms = (uint32_t)(json_integer_value(delay) % 86400000);
    if (json_is_string(fault)) {
        app_fault(reply, json_string_value(fault), "the parameters asked for this fault");
        return;
    }
    reply->result = json_pack("{s:O,s:s,s:s,s:s,s:i}", "echo", request->parameters, "service",
                              request->service, "method", request->method, "server",
                              (const char *)context, "attempt", (int)request->attempt);
}
