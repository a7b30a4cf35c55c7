/* Example: submits one interaction, sends the same request again as a program does that heard no
 * answer, and prints both answers: they name the same interaction.
 *
 *     example_submit [ENDPOINT…]      default: tcp://127.0.0.1:7420
 *
 * The library does all that is tedious: it connects to every endpoint and uses the node that
 * serves, registers, sends heartbeats, and asks again after silence, Retry, Busy or a fail-over,
 * with the same key. (A program does not repeat a request by itself; this one does to show what a
 * key is for.)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/client/client.h"
#include "core/wire/wire.h"

/* One request and its answer. The key belongs to the new interaction, not to the request: whoever
 * is not sure that an interaction was accepted asks again with its key. */
static bool s_submit(ixn_client_t *client, const id128_t *key, error_t *ret_error)
{
    char *attributes = "{\"subject\": \"Where is my parcel?\", \"from\": \"ada@example.org\"}";
    Ixn__V1__Submit submit = IXN__V1__SUBMIT__INIT;
    submit.key = wire_bytes(key);
    submit.queue = "inbound";
    submit.media_type = "email";
    submit.type = "Inbound";
    submit.attributes.data = (uint8_t *)attributes;
    submit.attributes.len = strlen(attributes);
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_SUBMIT;
    request.submit = &submit;

    const Ixn__V1__Message *answer = NULL;
    if (!ixn_client_call(client, &request, &answer, ret_error))
        return false;
    id128_t id;
    char text[ID_TEXT_SIZE];
    if (!wire_read_id(answer->ack->interaction_id, &id))
        return error_set(ret_error, ERROR_MALFORMED, "the answer has no interaction id");
    printf("interaction %s, version %u\n", id_text(id, text), answer->ack->version);
    return true;
}

int main(int argc, char **argv)
{
    const char *const usual[] = {"tcp://127.0.0.1:7420"};
    ixn_client_options_t options = {
        .endpoints = argc > 1 ? (const char *const *)argv + 1 : usual,
        .endpoints_len = argc > 1 ? (size_t)argc - 1 : 1,
        .role = IXN__V1__ROLE__MEDIA_SERVER,
        .name = "example-c",
    };
    error_t error = {0};
    ixn_client_t *client = ixn_client_new(&options, &error);
    id128_t key = id_random();
    bool done = client && s_submit(client, &key, &error) && s_submit(client, &key, &error);
    if (!done)
        fprintf(stderr, "example_submit: %s: %s\n", error_name(error.code), error.text);
    ixn_client_destroy(&client);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
