/* Command `database adopt`: a legitimate move of the pair's database. Makes sure that nobody
 * serves, gathers what is known to be committed, and has the database record the move
 * (dap/adoption.h).
 */
#include "apps/ixnctl/command.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/ixnctl/pair_call.h"
#include "apps/ixnctl/parts/units.h"
#include "apps/state/dap_memory.h"
#include "core/base/check.h"
#include "core/base/log.h"
#include "core/client/probe.h"
#include "dap/adoption.h"

enum {
    KEY_ACCEPT_LOSS = 0x300,
    KEY_ASSUME_STOPPED,
    KEY_DAP,
    KEY_DRY_RUN,
    ASK_MS = 2000,     /* a node that runs answers within milliseconds */
    PATIENCE_MS = 500, /* once another one has answered */
    LISTEN_MS = 1000,  /* a port that refuses does so at once */
    STILL_MS = 300,    /* a head that is served moves within a few beats */
};

typedef struct {
    common_t *common;
    const char *dap; /* NULL: the one database that all reach */
    const char *reason;
    bool accepts_loss;
    uint64_t loss;
    bool assume_stopped;
    bool dry_run;
} input_t;

static const struct argp_option s_options[] = {
    {"reason", 'r', "TEXT", 0, "Why; kept in the database for ever (needed)", 0},
    {"dap", KEY_DAP, "NAME", 0, "Adopt what this access point reaches", 0},
    {"accept-loss", KEY_ACCEPT_LOSS, "N", 0,
     "Give up the N entries that were committed and are not there; must be exact", 0},
    {"assume-stopped", KEY_ASSUME_STOPPED, NULL, 0,
     "A node that neither answers nor refuses is stopped: you have looked", 0},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "Only say what would be done", 0},
    {0},
};

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case 'r':
        input->reason = common_reason(argument, state);
        return 0;
    case KEY_DAP:
        input->dap = argument;
        return 0;
    case KEY_ACCEPT_LOSS:
        input->accepts_loss = true;
        input->loss = (uint64_t)common_number(argument, 1, INT64_MAX, "--accept-loss", state);
        return 0;
    case KEY_ASSUME_STOPPED:
        input->assume_stopped = true;
        return 0;
    case KEY_DRY_RUN:
        input->dry_run = true;
        return 0;
    case ARGP_KEY_END:
        if (!input->reason || !*input->reason)
            argp_error(state, "--reason is needed, such as --reason \"moved to db-2\"");
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

/* ---- The nodes: nobody serves, and what they know ---- */

static bool s_refuses(const char *endpoint)
{
    probe_t probe;
    bool refused = false;
    usec_t now = connection_now();
    usec_t end = now + LISTEN_MS * USEC_PER_MS;
    probe_init(&probe, endpoint);
    probe_start(&probe, now);
    for (; !refused && now < end; now = connection_now()) {
        zmq_pollitem_t item = probe_item(&probe);
        long wait = probe_wait_ms(&probe, now);
        if (item.fd >= 0)
            zmq_poll(&item, 1, wait);
        else
            usleep((useconds_t)(wait * 1000)); /* until the next attempt is due */
        refused = probe_step(&probe, connection_now());
    }
    probe_stop(&probe);
    return refused;
}

/* An epoch of which nothing but the number is known is that of the memory. */
static void s_know(adoption_t *adoption, uint64_t index, id128_t hash)
{
    if (index && adoption->places_len < ADOPTION_PLACES)
        adoption->places[adoption->places_len++] =
            (place_t){index, hash, adoption->epoch, adoption->generation};
}

static bool s_is_over(const Ixn__V1__PairNode *node)
{
    return !pair_view_serves(node) && strcmp(node->role, "handing-over") != 0 &&
           strcmp(node->role, "taking-over") != 0;
}

static bool s_serves(const Ixn__V1__PairNode *node, const char *database, error_t *ret_error)
{
    return error_set(ret_error, ERROR_WRONG_STATE,
                     "node %s is %s on %s: a database is adopted only while no node serves; stop "
                     "the nodes of the pair first",
                     node->name, node->role, *database ? database : "the pair's database");
}

static bool s_take_status(const Ixn__V1__PairStatus *status, adoption_t *adoption,
                          error_t *ret_error)
{
    const Ixn__V1__PairNode *own = status->own;
    id128_t hash = {{0}};
    if (!s_is_over(own))
        return s_serves(own, status->database, ret_error);
    if (status->link && status->peer && !s_is_over(status->peer))
        return s_serves(status->peer, status->database, ret_error);
    if (own->hash.len == sizeof hash.bytes) {
        memcpy(hash.bytes, own->hash.data, sizeof hash.bytes);
        s_know(adoption, own->index, hash);
    }
    if (status->epoch > adoption->highest_epoch)
        adoption->highest_epoch = status->epoch;
    return true;
}

static bool s_is_stopped(const input_t *input, const char *endpoint, const char *what,
                         error_t *ret_error)
{
    if (input->assume_stopped || s_refuses(endpoint))
        return true;
    return error_set(ret_error, ERROR_WRONG_STATE,
                     "%s %s does not say how it stands, and nothing shows that it is stopped: it "
                     "may serve from the database as it was. Stop it, name it with --node if it is "
                     "to be asked elsewhere, or, when you have seen that it does not run, say "
                     "--assume-stopped",
                     what, endpoint);
}

static bool s_ask_nodes(const input_t *input, const config_t *config, adoption_t *adoption,
                        error_t *ret_error)
{
    pair_call_t pair;
    bool peer_asked = !config->has_peer;
    bool ok = true;
    if (!pair_open(&pair, input->common, ret_error))
        return false;
    if (pair.timeout_ms > ASK_MS)
        pair.timeout_ms = ASK_MS;
    pair_status(&pair, PATIENCE_MS, NULL);
    for (size_t i = 0; i < pair.view.len && ok; i++) {
        const pair_view_node_t *node = &pair.view.nodes[i];
        if (node->status) {
            peer_asked = peer_asked || strcmp(node->status->own->name, config->node_name) != 0;
            ok = s_take_status(node->status, adoption, ret_error);
        } else {
            ok = s_is_stopped(input, node->endpoint, "the node at", ret_error);
        }
    }
    pair_close(&pair);
    return ok && (peer_asked || s_is_stopped(input, config->peer_endpoint,
                                             "the other node, whose peer port is", ret_error));
}

/* ---- The database: what the access points reach ---- */

typedef struct {
    const config_t *config;
    size_t chosen;
    database_status_t status; /* of that one */
    bool found;
} survey_t;

static bool s_two(const survey_t *self, size_t dap, const database_status_t *status,
                  error_t *ret_error)
{
    char a[IDENTITY_TEXT_SIZE];
    char b[IDENTITY_TEXT_SIZE];
    return error_set(ret_error, ERROR_DATABASE_WRONG,
                     "DAP %s reaches %s (%s), DAP %s reaches %s (%s): name the one that is to be "
                     "adopted with --dap, and correct the other before the nodes start",
                     self->config->daps[self->chosen].name, self->status.server,
                     identity_text(&self->status.identity, a), self->config->daps[dap].name,
                     status->server, identity_text(&status->identity, b));
}

/* Access points that do not answer are no reason against those that do. */
static bool s_look(survey_t *self, size_t dap, error_t *first, error_t *ret_error)
{
    database_status_t status;
    error_t error = {0};
    database_t *database = database_of_dap(self->config, dap, -1);
    bool answered = database_status(database, NULL, &status, &error);
    database_destroy(&database);
    if (!answered) {
        if (first->code == ERROR_OK || first->code == ERROR_DATABASE_UNREACHABLE)
            *first = error;
        return true;
    }
    if (self->found && (!identity_equal(&status.identity, &self->status.identity) ||
                        strcmp(status.server, self->status.server) != 0))
        return s_two(self, dap, &status, ret_error);
    if (!self->found)
        self->chosen = dap;
    self->found = true;
    self->status = status;
    return true;
}

static bool s_survey(survey_t *self, const char *name, error_t *ret_error)
{
    error_t first = {0};
    bool known = false;
    for (size_t i = 0; i < self->config->daps_len; i++) {
        if (name && strcmp(self->config->daps[i].name, name) != 0)
            continue;
        known = true;
        if (!s_look(self, i, &first, ret_error))
            return false;
    }
    if (self->found)
        return true;
    if (!known)
        return error_set(ret_error, ERROR_CONFIGURATION, "the configuration has no DAP \"%s\"",
                         name ? name : "");
    return error_set(ret_error, first.code, "%s", first.text);
}

/* Somebody whom the configuration does not know may serve from it. */
static bool s_is_still(const survey_t *self, database_t *database, error_t *ret_error)
{
    database_status_t status;
    usec_t end = connection_now() + STILL_MS * USEC_PER_MS;
    do {
        if (!database_status(database, NULL, &status, ret_error))
            return false;
        if (status.head_index != self->status.head_index)
            return error_set(ret_error, ERROR_WRONG_STATE,
                             "%s is being served: its head moved from %" PRIu64 " to %" PRIu64
                             " under epoch %" PRIu64 " of %s while this command looked",
                             status.server, self->status.head_index, status.head_index,
                             status.epoch, status.owner);
    } while (connection_now() < end);
    return true;
}

/* ---- The database before ---- */

/* A node would go on with it. What does not answer, or is a standby, is of no use to one. */
static bool s_is_left(const config_t *config, size_t dap, const survey_t *survey,
                      const identity_t *previous, error_t *ret_error)
{
    database_status_t status;
    error_t error = {0};
    database_t *database = database_of_dap(config, dap, -1);
    bool answered = database_status(database, NULL, &status, &error);
    database_destroy(&database);
    if (!answered || status.standby || !identity_equal(&status.identity, previous) ||
        (identity_equal(&status.identity, &survey->status.identity) &&
         instance_equal(&status.instance, &survey->status.instance)))
        return true;
    return error_set(
        ret_error, ERROR_WRONG_STATE,
        "the database before, %s, still answers by DAP %s as state_dir %s remembers "
        "it, and nodes would go on with it: first stop that server, or take the pair's "
        "role its right to connect there and end its sessions, a pooler's too",
        status.server, config->daps[dap].name, config->state_dir);
}

/* A node that starts tries the ways that were proven last, whatever its configuration says. */
static bool s_is_out_of_reach(const config_t *config, const survey_t *survey,
                              const identity_t *previous, error_t *ret_error)
{
    config_dap_t daps[DAP_MEMORY_MAX];
    config_t before = *config;
    bool left =
        dap_memory_read(config->state_dir, daps, DAP_MEMORY_MAX, &before.daps_len, ret_error);
    before.daps = daps;
    for (size_t i = 0; left && i < before.daps_len; i++)
        left = s_is_left(&before, i, survey, previous, ret_error);
    explicit_bzero(daps, sizeof daps);
    return left;
}

/* ---- What came of it ---- */

static json_t *s_json(const input_t *input, const adoption_result_t *result)
{
    char previous[ID_TEXT_SIZE];
    char adopted[ID_TEXT_SIZE];
    json_t *json = json_pack("{s:b, s:s, s:s, s:s?, s:I, s:I, s:I, s:I}", "dry_run", input->dry_run,
                             "server", result->before.server, "previous_database_id",
                             id_text(result->previous.database_id, previous), "database_id",
                             input->dry_run ? NULL : id_text(result->adopted.database_id, adopted),
                             "head_index", (json_int_t)result->before.head_index, "known_index",
                             (json_int_t)result->known_index, "entries_lost",
                             (json_int_t)result->lost, "epoch", (json_int_t)result->epoch);
    CHECK(json);
    return json;
}

static void s_describe(const input_t *input, const config_t *config,
                       const adoption_result_t *result, buffer_t *out)
{
    char text[IDENTITY_TEXT_SIZE];
    char count[UNITS_TEXT_SIZE];
    char id[ID_TEXT_SIZE];
    buffer_printf(out, "%s %s\n  was known as  %s\n", input->dry_run ? "Would adopt" : "Adopted",
                  result->before.server, identity_text(&result->before.identity, text));
    buffer_printf(out, "  in place of   %s\n", identity_text(&result->previous, text));
    if (!input->dry_run)
        buffer_printf(out, "  is now        %s\n", identity_text(&result->adopted, text));
    buffer_printf(out, "  head          index %" PRIu64 "; ", result->before.head_index);
    if (result->lost)
        buffer_printf(out, "%s entries given up, to index %" PRIu64 "\n",
                      units_count(result->lost, count), result->known_index);
    else
        buffer_printf(out, "nothing is lost that this host knows of\n");
    if (input->dry_run)
        return;
    if (config->has_database_id)
        buffer_printf(out,
                      "Next: in both configurations, section database, set\n    id: %s\n"
                      "then start both nodes.",
                      id_text(result->adopted.database_id, id));
    else
        buffer_printf(out, "Next: start both nodes.");
    buffer_printf(out,
                  " Keep the database before out of their reach until both work with this "
                  "one.\n");
}

static int s_tell(const input_t *input, const config_t *config, const adoption_result_t *result)
{
    buffer_t out = {0};
    if (input->common->json)
        common_append_json(&out, s_json(input, result));
    else
        s_describe(input, config, result, &out);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}

/* ---- The command ---- */

static bool s_recall(const config_t *config, adoption_t *adoption, error_t *ret_error)
{
    identity_memory_t memory;
    switch (identity_recall(config->state_dir, &memory, ret_error)) {
    case MEMORY_BROKEN:
        return false;
    case MEMORY_EMPTY:
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "%s remembers no database, so there is none to move from: a node of this "
                         "configuration accepts the first one that it finds%s; run this on a node "
                         "that has served or followed",
                         config->state_dir,
                         config->has_database_id ? " with the id of database.id" : "");
    case MEMORY_READ:
        break;
    }
    adoption->previous = memory.identity;
    adoption->epoch = memory.epoch;
    adoption->generation = memory.generation;
    adoption->highest_epoch = memory.epoch;
    if (memory.place.index)
        adoption->places[adoption->places_len++] = memory.place;
    return true;
}

static bool s_adopt(const input_t *input, const config_t *config, adoption_result_t *ret_result,
                    error_t *ret_error)
{
    char by[COMMON_OPERATOR_SIZE];
    survey_t survey = {.config = config};
    adoption_t adoption = {.accepts_loss = input->accepts_loss,
                           .loss = input->loss,
                           .dry_run = true,
                           .reason = input->reason,
                           .adopted_by = by};
    common_operator(input->common, by);
    if (!s_recall(config, &adoption, ret_error) ||
        !s_ask_nodes(input, config, &adoption, ret_error) ||
        !s_survey(&survey, input->dap, ret_error))
        return false;
    database_t *database = database_of_dap(config, survey.chosen, -1);
    bool done = s_is_still(&survey, database, ret_error) &&
                adoption_perform(database, &adoption, ret_result, ret_error) &&
                s_is_out_of_reach(config, &survey, &adoption.previous, ret_error);
    adoption.dry_run = input->dry_run;
    if (done && !input->dry_run)
        done = adoption_perform(database, &adoption, ret_result, ret_error);
    database_destroy(&database);
    return done;
}

int command_database_adopt(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options,
        .parser = s_parse,
        .doc =
            "Declare that the pair's database has moved: to what the DAPs reach now.\v"
            "Nodes refuse whatever is not the database that they remember. After a restore, an "
            "upgrade or a move to another server, this makes the copy the pair's own: it gets a "
            "new database_id and a new epoch, and the table ixn.adoption keeps who did it, why, "
            "and what was lost. Nodes that remember the database before follow by themselves when "
            "they start. It is refused while a node serves, while that database is still within "
            "reach, on a standby, on a database that is no "
            "copy of the pair's, and when something that was committed is missing, unless "
            "--accept-loss says exactly how many entries.\n\n"
            "What is known to be committed is what this host's state_dir remembers and what nodes "
            "that run say: run it on the host of the node that served last.\n\nExamples:\n"
            "  ixnctl --config ixnd.yaml database adopt --reason \"moved to db-2\" --dry-run\n"
            "  ixnctl --config ixnd.yaml database adopt --reason \"moved to db-2\"\n"
            "  ixnctl -c ixnd.yaml database adopt -r \"backup of 02:00\" --accept-loss 4711",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    error_t error = {0};
    adoption_result_t result;
    const config_t *config = common_config(common, &error);
    if (!config || !s_adopt(&input, config, &result, &error))
        return common_fail(&error);
    return s_tell(&input, config, &result);
}
