/* Command `get`: interactions whole. The node knows what is not finished, exactly. Of what is, and
 * where no node serves, the documented tables tell; the answer says so.
 */
#include "apps/ixnctl/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnctl/parts/show.h"
#include "apps/ixnctl/query.h"
#include "apps/views/stored.h"
#include "core/wire/wire.h"

typedef struct {
    common_t *common;
    const char *ids[COMMON_IDS];
    size_t ids_len;
    ixn_client_t *client;
    error_t unheard; /* why no node is asked any more; code ERROR_OK: it is */
    query_t *query;  /* from the first question to the tables on */
    error_t no_query;
} get_t;

static int s_parse(int key, char *argument, struct argp_state *state)
{
    get_t *self = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (self->ids_len == COMMON_IDS)
            argp_error(state, "more than %d ids", COMMON_IDS);
        else
            self->ids[self->ids_len++] = argument;
        return 0;
    case ARGP_KEY_END:
        common_ids(self->ids, self->ids_len, "an interaction's id is needed", state);
        return 0;
    default:
        return common_key(key, argument, state, self->common);
    }
}

/* ---- The tables ---- */

/* The row of an id; NULL and an error, also when there is none. Where a node was heard, what is not
 * finished in the tables is so by now. */
static PGresult *s_row(get_t *self, const char *id, error_t *ret_error)
{
    static const char sql[] = "SELECT " STORED_FINISHED
                              " FROM ixn.interaction_history WHERE id = $1::text::uuid"
                              " UNION ALL SELECT " STORED_UNFINISHED
                              " FROM ixn.interaction WHERE id = $1::text::uuid AND $2::text = ''";
    error_t error = {0};
    if (!self->query && self->no_query.code == ERROR_OK)
        self->query = query_new(self->common, &self->no_query);
    const char *const params[] = {id, self->unheard.code == ERROR_OK ? "heard" : "", NULL};
    PGresult *result = NULL;
    if (self->query)
        result = query_rows(self->query, sql, params, &error);
    if (result && PQntuples(result) > 0)
        return result;
    if (result)
        error_set(ret_error, ERROR_UNKNOWN_INTERACTION,
                  "the tables have nothing of it as of index %llu",
                  (unsigned long long)query_index(self->query));
    else
        error_set(ret_error, ERROR_DATABASE_UNREACHABLE, "the tables cannot be read: %s",
                  self->query ? error.text : self->no_query.text);
    PQclear(result);
    return NULL;
}

/* Returns the exit code, as those below do. */
static int s_print(const get_t *self, const Ixn__V1__Interaction *one, const show_source_t *source)
{
    buffer_t out = {0};
    if (self->common->json)
        show_interaction_json(one, source, &out);
    else
        show_interaction(one, source, common_style(), &out);
    const bool printed = common_print(&out);
    buffer_free(&out);
    return printed && self->unheard.code == ERROR_OK ? EXIT_DONE : EXIT_PARTLY;
}

static int s_print_row(const get_t *self, const char *text, const PGresult *row)
{
    id128_t id = {0};
    stored_t stored;
    id_parse(text, &id);
    stored_read(row, id, &stored);
    return s_print(self, &stored.one,
                   &(show_source_t){true, query_index(self->query), query_age(self->query),
                                    self->unheard.text});
}

/* The tables are behind, or cannot be read. */
static int s_print_remembered(const get_t *self, const Ixn__V1__Interaction *known,
                              const error_t *missing)
{
    error_t error = {0};
    error_set(&error, ERROR_OK, "the node remembers no more of it, and %s%s", missing->text,
              missing->code == ERROR_UNKNOWN_INTERACTION
                  ? ": they have it after the next checkpoint, ask again then"
                  : "");
    const int code = s_print(self, known, &(show_source_t){0});
    common_fail(&error);
    return code;
}

/* ---- The node ---- */

static bool s_ask(get_t *self, const char *text, const Ixn__V1__Message **ret_message,
                  error_t *ret_error)
{
    Ixn__V1__Get get = IXN__V1__GET__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    id128_t id = {0};
    if (self->unheard.code != ERROR_OK) {
        *ret_error = self->unheard;
        return false;
    }
    id_parse(text, &id);
    get.interaction_id = wire_bytes(&id);
    get.confirmed = true;
    get.journey = true;
    request.body_case = IXN__V1__REQUEST__BODY_GET;
    request.get = &get;
    if (ixn_client_call(self->client, &request, ret_message, ret_error))
        return true;
    if (ret_error->code == ERROR_TIMED_OUT) { /* nor does it answer for the next one */
        common_no_node(self->common, ret_error->text, &self->unheard);
        *ret_error = self->unheard;
    }
    return false;
}

static int s_fail(const get_t *self, const char *text, const error_t *node, const error_t *tables)
{
    error_t error = {0};
    const char *between = *tables->text ? "; " : "";
    if (self->unheard.code != ERROR_OK)
        error_set(&error, node->code, "%s%s%s", node->text, between, tables->text);
    else
        error_set(&error, node->code, "%s: %s (%s)%s%s", text, node->text, error_name(node->code),
                  between, tables->text);
    return common_fail(&error);
}

/* Of what is finished the node remembers that it is, for a while, and then nothing. */
static int s_run_one(get_t *self, const char *text)
{
    const Ixn__V1__Message *message = NULL;
    const Ixn__V1__Interaction *known = NULL;
    error_t error = {0};
    error_t missing = {0};
    if (s_ask(self, text, &message, &error))
        known =
            message->body_case == IXN__V1__MESSAGE__BODY_INTERACTION ? message->interaction : NULL;
    else if (error.code != ERROR_UNKNOWN_INTERACTION && error.code != ERROR_TIMED_OUT)
        return s_fail(self, text, &error, &missing);
    if (known && known->state != IXN__V1__INTERACTION_STATE__COMPLETED)
        return s_print(self, known, &(show_source_t){0});
    PGresult *row = s_row(self, text, &missing);
    if (!row)
        return known ? s_print_remembered(self, known, &missing)
                     : s_fail(self, text, &error, &missing);
    const int code = s_print_row(self, text, row);
    PQclear(row);
    return code;
}

static int s_run(get_t *self)
{
    size_t done = 0;
    int worst = EXIT_DONE;
    for (size_t i = 0; i < self->ids_len && (worst != EXIT_NOT_REACHABLE || self->query); i++) {
        if (i > 0 && !self->common->json)
            puts(""); /* between two that are shown */
        const int code = s_run_one(self, self->ids[i]);
        done += code == EXIT_DONE || code == EXIT_PARTLY;
        worst = code != EXIT_DONE ? code : worst;
    }
    return worst != EXIT_DONE && done > 0 ? EXIT_PARTLY : worst;
}

int command_get(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .parser = s_parse,
        .args_doc = "ID...",
        .doc =
            "Show an interaction whole: where it is, since when, and what happened to it.\v"
            "What is not finished is asked of the node and exact: the answer waits for a commit "
            "that was sent after the question, so it holds even while another node takes over. "
            "Behind its attributes are the steps of its journey: who moved, held or changed it, "
            "which routers had it, and how that ended.\n\n"
            "What is finished, and everything where no node serves, is read from the tables by "
            "the DAPs of the configuration, as of the last checkpoint; the last line says so (-o "
            "json: \"from\" is \"tables\"). Where no node serves the exit code is 4.\n\nExamples:\n"
            "  ixnctl get 0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a\n"
            "  ixnctl get 0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a -o json | jq .journey",
        .children = common_children,
    };
    get_t self = {.common = common};
    error_t error = {0};
    common_parse(&argp, argc, argv, &self);
    self.client = common_client(common, IXN__V1__ROLE__OPERATOR, &error);
    if (!self.client) {
        common_fail(&error);
        return EXIT_USAGE;
    }
    const int code = s_run(&self);
    ixn_client_destroy(&self.client);
    query_destroy(&self.query);
    return code;
}
