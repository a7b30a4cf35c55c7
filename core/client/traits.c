/* Traits, the code. */
#include "core/client/traits.h"

traits_t traits_of(const Ixn__V1__Request *request)
{
    switch (request->body_case) {
    case IXN__V1__REQUEST__BODY_SUBMIT:
        return (traits_t){.key = &request->submit->key};
    case IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES:
        return (traits_t){.key = &request->change_properties->key,
                          .token = request->change_properties->token};
    case IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE:
        return (traits_t){.key =
                              request->place_in_queue->token ? NULL : &request->place_in_queue->key,
                          .token = request->place_in_queue->token,
                          .is_result = true};
    case IXN__V1__REQUEST__BODY_HOLD:
        return (traits_t){.key = &request->hold->key};
    case IXN__V1__REQUEST__BODY_RESUME:
        return (traits_t){.key = &request->resume->key};
    case IXN__V1__REQUEST__BODY_STOP:
        return (traits_t){.key = request->stop->token ? NULL : &request->stop->key,
                          .token = request->stop->token,
                          .is_result = true};
    case IXN__V1__REQUEST__BODY_RESERVE:
        return (traits_t){.key = &request->reserve->key, .token = request->reserve->token};
    case IXN__V1__REQUEST__BODY_ROUTE_FAILED:
        return (traits_t){.token = request->route_failed->token, .is_result = true};
    case IXN__V1__REQUEST__BODY_CALL_SERVICE:
        return (traits_t){.key = &request->call_service->key,
                          .token = request->call_service->token};
    case IXN__V1__REQUEST__BODY_SERVICE_RESPONSE:
        return (traits_t){.token = request->service_response->token, .is_result = true};
    case IXN__V1__REQUEST__BODY_SERVICE_FAULT:
        return (traits_t){.token = request->service_fault->token, .is_result = true};
    default:
        return (traits_t){0};
    }
}
