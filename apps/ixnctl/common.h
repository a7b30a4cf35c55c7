/* Common: what all commands share: the options every command takes, how the configuration, the node
 * and the terminal are found, how errors are told.
 */
#ifndef IXNCTL_COMMON_H
#define IXNCTL_COMMON_H

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>

#include "apps/ixnctl/parts/table.h"
#include "apps/ixnctl/parts/tally.h"
#include "config/config.h"
#include "core/base/limits.h"
#include "core/client/client.h"

#define COMMON_NODES 8

typedef struct {
    const char *config_path; /* NULL: not said */
    const char *nodes[COMMON_NODES];
    size_t nodes_len;
    const char *tenant; /* NULL: not said */
    const char *name;   /* of this client; NULL: one is made */
    uint32_t timeout_ms;
    uint32_t left_ms; /* of that, when common_client had found the nodes */
    bool json;
    char endpoints[300]; /* which nodes common_client chose, for messages */
    config_t *config;    /* loaded on demand by common_config */
} common_t;

/* For `children` of every command's argp; its input is the common_t. */
extern const struct argp common_argp;
extern const struct argp_child common_children[];

/* Parses a command's arguments; ends the program with EXIT_USAGE when they are wrong, and with
 * EXIT_DONE after --help. `input` goes to the command's own parser. */
void common_parse(const struct argp *argp, int argc, char **argv, void *input);
/* What a command's own parser leaves: the common_t goes on to its child, words are refused. */
int common_key(int key, char *argument, struct argp_state *state, common_t *common);
void common_word_too_many(const char *word, const struct argp_state *state);
/* The same for a command that takes no more than what all take: `doc` is its help. */
void common_parse_only(common_t *self, const char *doc, int argc, char **argv);
/* A whole number in an argument; ends the program as common_parse does. */
long common_number(const char *text, long min, long max, const char *what,
                   const struct argp_state *state);
/* A number of seconds, also a part of one; the same. */
double common_seconds(const char *text, double min, double max, const char *what,
                      const struct argp_state *state);
/* Ids of interactions in arguments; the same. `needed`: what is said when there is none, NULL:
 * there may be none. */
#define COMMON_IDS 1000
void common_ids(const char *const *ids, size_t len, const char *needed,
                const struct argp_state *state);
/* What --reason says, within its limit; the same. */
const char *common_reason(const char *text, const struct argp_state *state);

/* The configuration; stays the common_t's. Looked for in --config, $IXN_CONFIG, /etc/ixn/ixnd.yaml.
 */
const config_t *common_config(common_t *self, error_t *ret_error);
/* A client of the nodes in --node, otherwise of the configuration's, otherwise of this machine's
 * default endpoint; where that is one, also of the other one that it names. */
ixn_client_t *common_client(common_t *self, Ixn__V1__Role role, error_t *ret_error);

/* The endpoints that are named so, the caller's to free; how many. 0 and an error: the
 * configuration is wrong. */
size_t common_endpoints(common_t *self, char *ret_endpoints[COMMON_NODES], error_t *ret_error);
/* "Every address of this machine": can be bound, but is no address to connect to. */
bool common_is_any_address(const char *endpoint);

/* Says that no node answered, and where it was looked for. */
bool common_no_node(const common_t *self, const char *why, error_t *ret_error);

/* Prints "ixnctl: …" on standard error, one line, and returns the exit code that fits. */
int common_fail(const error_t *error);
/* The same of a request to a node: where none has answered, it says where that was looked for. */
int common_fail_asking(const common_t *self, const error_t *error);
/* Prints to standard output; false (and the error is told) when it cannot be written. */
bool common_print(const buffer_t *text);
/* A document as one line, appended or printed; takes the reference. */
void common_append_json(buffer_t *out, json_t *json);
bool common_print_json(json_t *json);
/* How tables look on standard output. */
table_style_t common_style(void);
/* Columns of the terminal behind a descriptor; 0: it is none. */
size_t common_terminal_width(int descriptor);

void common_free(common_t *self);

/* Who gives the command, for what is kept of it: what --name says, otherwise user@host; behind sudo
 * it is who called that. */
enum { COMMON_OPERATOR_SIZE = LIMIT_NAME + 1 };
void common_operator(const common_t *self, char text[COMMON_OPERATOR_SIZE]);

#endif
