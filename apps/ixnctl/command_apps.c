/* Commands `apps` and `clusters`: which application servers there are and how they do, asked of the
 * node that serves.
 */
#include "apps/ixnctl/command.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "core/base/check.h"

typedef void append_fn(const Ixn__V1__ApplicationsStatus *status, bool json, buffer_t *out);

static const char *s_type(Ixn__V1__ApplicationType type)
{
    static const char *const names[] = {"-",      "classification", "email",      "sms",
                                        "social", "chat",           "third_party"};
    return (size_t)type < sizeof names / sizeof *names ? names[type] : "?";
}

static void s_append_names(buffer_t *out, char *const *names, size_t len)
{
    buffer_clear(out);
    for (size_t i = 0; i < len; i++)
        buffer_printf(out, "%s%s", i ? "," : "", names[i]);
    if (len == 0)
        buffer_append_text(out, "-");
    buffer_append(out, "", 1);
}

static json_t *s_names(char *const *names, size_t len)
{
    json_t *array = json_array();
    for (size_t i = 0; i < len; i++)
        json_array_append_new(array, json_string(names[i]));
    return array;
}

/* ---- Servers ---- */

static json_t *s_server(const Ixn__V1__ApplicationStatus *server)
{
    return json_pack("{s:s,s:s,s:b,s:b,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:I,s:b,s:s}", "name",
                     server->name, "type", s_type(server->type), "connected", server->connected,
                     "configured", server->configured, "services",
                     s_names(server->services, server->n_services), "in_flight",
                     (json_int_t)server->in_flight, "window", (json_int_t)server->window, "sent",
                     (json_int_t)server->sent, "answered", (json_int_t)server->answered, "faults",
                     (json_int_t)server->faults, "timeouts", (json_int_t)server->timeouts, "losses",
                     (json_int_t)server->losses, "breaker", server->breaker, "breaker_ms",
                     (json_int_t)server->breaker_ms, "also_media_server", server->also_media_server,
                     "note", server->note);
}

static void s_append_servers(const Ixn__V1__ApplicationsStatus *status, bool json, buffer_t *out)
{
    if (json) {
        json_t *servers = json_array();
        for (size_t i = 0; i < status->n_servers; i++)
            json_array_append_new(servers, s_server(status->servers[i]));
        common_append_json(out,
                           json_pack("{s:o,s:I,s:I,s:I}", "servers", servers, "open",
                                     (json_int_t)status->open, "kept", (json_int_t)status->kept,
                                     "bytes", (json_int_t)status->bytes));
        return;
    }
    table_t table = {.columns_len = 10,
                     .columns = {{"SERVER", false, false},
                                 {"TYPE", false, false},
                                 {"STATE", false, false},
                                 {"SERVICES", false, true},
                                 {"IN FLIGHT", true, false},
                                 {"ANSWERED", true, false},
                                 {"FAULTS", true, false},
                                 {"TIMEOUTS", true, false},
                                 {"LOSSES", true, false},
                                 {"BREAKER", false, false}}};
    buffer_t names = {0};
    for (size_t i = 0; i < status->n_servers; i++) {
        const Ixn__V1__ApplicationStatus *server = status->servers[i];
        s_append_names(&names, server->services, server->n_services);
        table_add(&table, text_of(server->name));
        table_add(&table, text_of(s_type(server->type)));
        table_add(&table, text_of(server->connected ? "up" : "down"));
        table_add(&table, text_of((const char *)names.bytes));
        table_printf(&table, "%" PRIu32 "/%" PRIu32, server->in_flight, server->window);
        table_printf(&table, "%" PRIu64, server->answered);
        table_printf(&table, "%" PRIu64, server->faults);
        table_printf(&table, "%" PRIu64, server->timeouts);
        table_printf(&table, "%" PRIu64, server->losses);
        table_add(&table, text_of(server->breaker));
    }
    table_layout(&table, common_style(), out);
    table_free(&table);
    buffer_free(&names);
    for (size_t i = 0; i < status->n_servers; i++)
        if (status->servers[i]->note[0])
            buffer_printf(out, "%s: %s\n", status->servers[i]->name, status->servers[i]->note);
    buffer_printf(out, "%" PRIu32 " requests open\n", status->open);
}

/* ---- Clusters ---- */

static void s_append_clusters(const Ixn__V1__ApplicationsStatus *status, bool json, buffer_t *out)
{
    if (json) {
        json_t *clusters = json_array();
        for (size_t i = 0; i < status->n_clusters; i++) {
            const Ixn__V1__ClusterStatus *cluster = status->clusters[i];
            json_array_append_new(
                clusters,
                json_pack("{s:s,s:o,s:I,s:I,s:I}", "name", cluster->name, "members",
                          s_names(cluster->members, cluster->n_members), "usable",
                          (json_int_t)cluster->usable, "waiting", (json_int_t)cluster->waiting,
                          "queue_size", (json_int_t)cluster->queue_size));
        }
        common_append_json(out, json_pack("{s:o}", "clusters", clusters));
        return;
    }
    table_t table = {.columns_len = 4,
                     .columns = {{"CLUSTER", false, false},
                                 {"USABLE", true, false},
                                 {"WAITING", true, false},
                                 {"MEMBERS", false, true}}};
    buffer_t names = {0};
    for (size_t i = 0; i < status->n_clusters; i++) {
        const Ixn__V1__ClusterStatus *cluster = status->clusters[i];
        s_append_names(&names, cluster->members, cluster->n_members);
        table_add(&table, text_of(cluster->name));
        table_printf(&table, "%" PRIu32 "/%zu", cluster->usable, cluster->n_members);
        table_printf(&table, "%" PRIu32 "/%" PRIu32, cluster->waiting, cluster->queue_size);
        table_add(&table, text_of((const char *)names.bytes));
    }
    table_layout(&table, common_style(), out);
    table_free(&table);
    buffer_free(&names);
}

/* ---- Both ---- */

static int s_run(common_t *common, append_fn *append)
{
    error_t error = {0};
    ixn_client_t *client = common_client(common, IXN__V1__ROLE__OPERATOR, &error);
    if (!client)
        return common_fail(&error);
    Ixn__V1__ApplicationsRequest body = IXN__V1__APPLICATIONS_REQUEST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    const Ixn__V1__Message *message;
    request.body_case = IXN__V1__REQUEST__BODY_APPLICATIONS;
    request.applications = &body;
    int code;
    if (!ixn_client_call(client, &request, &message, &error)) {
        code = common_fail_asking(common, &error);
    } else {
        buffer_t out = {0};
        append(message->applications, common->json, &out);
        code = common_print(&out) ? EXIT_DONE : EXIT_PARTLY;
        buffer_free(&out);
    }
    ixn_client_destroy(&client);
    return code;
}

int command_apps(common_t *common, int argc, char **argv)
{
    static const char doc[] =
        "Application servers: what they offer, what they have at once, how they do.\vCounts are "
        "since the node began to serve.\n\nExample:\n  ixnctl apps";
    common_parse_only(common, doc, argc, argv);
    return s_run(common, s_append_servers);
}

int command_clusters(common_t *common, int argc, char **argv)
{
    static const char doc[] =
        "Application clusters: how many members can be used, what waits.\vExample:\n"
        "  ixnctl clusters";
    common_parse_only(common, doc, argc, argv);
    return s_run(common, s_append_clusters);
}
