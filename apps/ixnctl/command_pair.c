/* Commands `pair keygen` and `pair status`.
 */
#include "apps/ixnctl/command.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "apps/ixnctl/pair_call.h"
#include "core/base/check.h"

enum { KEY_TEXT_SIZE = 41, PATIENCE_MS = 1000 };

typedef struct {
    common_t *common;
    bool takes_file;
    const char *file;
} input_t;

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (!input->takes_file || input->file)
            common_word_too_many(argument, state);
        else
            input->file = argument;
        return 0;
    case ARGP_KEY_END:
        if (input->takes_file && !input->file)
            argp_error(state, "a file for the key is needed, such as /etc/ixn/pair.key");
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

/* ---- keygen ---- */

/* Makes the file, which must not be there: a key that is in use must not be lost. What was made of
 * it is removed again when it cannot be written to its end. */
static bool s_write_key(const char *path, const buffer_t *text, error_t *ret_error)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0 && errno == EEXIST)
        return error_set(ret_error, ERROR_SYSTEM,
                         "%s is there already, and a pair may use it; give another name, or move "
                         "it away first",
                         path);
    if (file < 0)
        return error_set(ret_error, ERROR_SYSTEM, "%s: cannot be made: %s", path, strerror(errno));
    bool ok = write(file, text->bytes, text->len) == (ssize_t)text->len && fsync(file) == 0;
    int error = errno;
    ok = close(file) == 0 && ok;
    if (ok)
        return true;
    unlink(path);
    return error_set(ret_error, ERROR_SYSTEM, "%s: cannot be written: %s", path, strerror(error));
}

/* The form in which czmq keeps certificates (zcert_save_secret). */
static bool s_make_key(const char *path, char public_key[KEY_TEXT_SIZE], error_t *ret_error)
{
    char secret_key[KEY_TEXT_SIZE];
    if (zmq_curve_keypair(public_key, secret_key) != 0)
        return error_set(ret_error, ERROR_SYSTEM, "this libzmq has no CURVE: %s",
                         zmq_strerror(errno));
    buffer_t text = {0};
    buffer_printf(&text,
                  "#   The key of an ixn pair: a ZeroMQ CURVE **Secret** Certificate\n"
                  "#   The same file is on both nodes (pair.certificate). Whoever has it can speak "
                  "as one of them:\n"
                  "#   DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its permissions.\n\n"
                  "metadata\n"
                  "curve\n"
                  "    public-key = \"%s\"\n"
                  "    secret-key = \"%s\"\n",
                  public_key, secret_key);
    bool ok = s_write_key(path, &text, ret_error);
    explicit_bzero(secret_key, sizeof secret_key);
    explicit_bzero(text.bytes, text.len);
    buffer_free(&text);
    return ok;
}

int command_pair_keygen(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .parser = s_parse,
        .args_doc = "FILE",
        .doc =
            "Make the key that both nodes of a pair share.\v"
            "The nodes prove to each other that they hold it; whoever does not is not let in at "
            "the peer port, and what they say is encrypted. Make it once, on one node, and copy "
            "the very same file to the other. Both name it as pair.certificate and read it when "
            "they start. It must be readable by the user of ixnd alone (mode 0600). An existing "
            "file is never overwritten.\n\nExample:\n"
            "  ixnctl pair keygen /etc/ixn/pair.key\n"
            "  chown ixn: /etc/ixn/pair.key\n"
            "  scp -p /etc/ixn/pair.key node-b:/etc/ixn/",
        .children = common_children,
    };
    input_t input = {.common = common, .takes_file = true};
    common_parse(&argp, argc, argv, &input);
    char public_key[KEY_TEXT_SIZE];
    error_t error = {0};
    if (!s_make_key(input.file, public_key, &error))
        return common_fail(&error);
    buffer_t out = {0};
    char *whole = realpath(input.file, NULL); /* as a configuration must name it */
    if (common->json) {
        json_t *json = json_pack("{s:s%, s:s}", "file", input.file, strlen(input.file),
                                 "public_key", public_key);
        common_append_json(&out, json ? json : json_object()); /* a name that is no UTF-8 */
    } else {
        buffer_printf(
            &out,
            "The pair's key is in %s, mode 0600; its public half is %s.\n"
            "Next: make the user of ixnd its owner, copy it to the other node, and name it "
            "in both\nconfigurations, section pair:\n"
            "    certificate: %s\n",
            input.file, public_key, whole ? whole : input.file);
    }
    free(whole);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}

/* ---- status ---- */

int command_pair_status(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .parser = s_parse,
        .doc =
            "Both nodes of the pair, each as it sees itself and as the other one sees it.\v"
            "Asks the nodes of --node, given once for each; with only one, or with that of the "
            "configuration, also the one it names as its peer. LAG is how many entries of the log "
            "a backup is behind. READY says whether a backup could take over now, and if not, "
            "why. Under DAPS each access point is \"proven\" to reach the pair's own live "
            "database, "
            "\"proving\" (what is missing is behind it), \"wrong\" (both databases are) or \"not "
            "now\"; \"new\" and \"old\" ones are on their way in and out (see ixnctl daps). The "
            "last line is the verdict.\n\n"
            "Exit codes, for monitoring: 0 ready (one serves, the other could take over; or alone "
            "by configuration); 1 not ready (one serves, but nobody could take over); 3 no node "
            "answers; 4 nodes answer, but nobody serves.\n\nExamples:\n"
            "  ixnctl -n tcp://a:7420 -n tcp://b:7420 pair status\n"
            "  ixnctl pair status -o json | jq .verdict",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    error_t error = {0};
    pair_call_t pair;
    if (!pair_open(&pair, common, &error))
        return common_fail(&error);
    if (!pair_status(&pair, PATIENCE_MS, &error)) {
        pair_close(&pair);
        return common_fail(&error);
    }
    buffer_t out = {0};
    char reason[PAIR_VIEW_REASON];
    int code = (int)pair_view_verdict(&pair.view, reason);
    if (!common->json)
        pair_view_print(&pair.view, common_style(), &out);
    bool printed =
        common->json ? common_print_json(pair_view_json(&pair.view)) : common_print(&out);
    buffer_free(&out);
    pair_close(&pair);
    return printed ? code : EXIT_USAGE;
}
