/* ixnctl: the operator's tool. Finds the command and runs it; the help says what there is.
 */
#include "apps/ixnctl/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/nearest.h"
#include "dap/opening.h"

static void s_append_command(buffer_t *out, const command_t *command)
{
    char name[COMMANDS_NAME];
    if (command->heading)
        buffer_printf(out, "\n%s\n", command->heading);
    buffer_printf(out, "  %-16s %s\n%19s%s\n", commands_name(command, name), command->sentence, "",
                  command->example);
}

/* argp prints this instead of the text after the options; it frees the result. */
static char *s_help(int key, const char *text, void *input)
{
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    buffer_t out = {0};
    buffer_append_text(&out, "Commands (each has a --help of its own):\n");
    for (size_t i = 0; i < commands_len; i++)
        s_append_command(&out, &commands[i]);
    buffer_append_text(
        &out,
        "\nThe way of a first interaction:\n"
        "  ixnctl -c ixnd.yaml database init && ixnd --config ixnd.yaml &\n"
        "  echo '{\"text\":\"Hello\"}' | ixnctl submit -q inbound -m chat -\n"
        "  ixnctl -c ixnd.yaml queues\n"
        "\nExit codes: 0 done, 1 refused, 2 usage, 3 not reachable, 4 partly done.\n"
        "Of status and pair status: 0 well, 1 not so, 3 not reachable, 4 nobody serves.\n");
    buffer_append(&out, "", 1);
    return (char *)out.bytes;
}

typedef struct {
    common_t *common;
    int command; /* index of the first argument that is no option; 0: none */
} input_t;

static int s_parse(int key, char *argument, struct argp_state *state)
{
    (void)argument;
    input_t *input = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = input->common;
        return 0;
    case ARGP_KEY_ARG:
        input->command = state->next - 1;
        state->next = state->argc; /* the rest is the command's */
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child s_children[] = {{&common_argp, 0, NULL, 90}, {0}};
static const struct argp s_argp = {
    .parser = s_parse,
    .args_doc = "COMMAND [ARGUMENT...]",
    .doc = "Work with an interaction server from the command line.\v",
    .children = s_children,
    .help_filter = s_help,
};

/* The command that was probably meant, or NULL. */
static const command_t *s_nearest(const char *words)
{
    char name[COMMANDS_NAME];
    size_t least = SIZE_MAX;
    const command_t *nearest = NULL;
    for (size_t i = 0; i < commands_len; i++) {
        const text_t known = text_of(commands_name(&commands[i], name));
        const size_t distance = nearest_distance(text_of(words), known);
        if (distance >= least)
            continue;
        least = distance;
        nearest = nearest_is_near(known, distance) ? &commands[i] : NULL;
    }
    return nearest;
}

static int s_unknown(char **words, int len)
{
    char said[2 * COMMANDS_NAME];
    char name[COMMANDS_NAME];
    const bool group = commands_is_group(words[0]);
    snprintf(said, sizeof said, "%s%s%s", words[0], len > 1 ? " " : "", len > 1 ? words[1] : "");
    const command_t *nearest = s_nearest(said);
    if (!nearest && !group)
        nearest = s_nearest(words[0]); /* what is behind it may be an argument */
    if (nearest) {
        fprintf(stderr, "ixnctl: there is no command \"%s\"; did you mean %s? See ixnctl --help\n",
                nearest->group ? said : words[0], commands_name(nearest, name));
        return EXIT_USAGE;
    }
    fprintf(stderr, "ixnctl: there is no command \"%s\"; there are:", group ? said : words[0]);
    const char *comma = "";
    for (size_t i = 0; i < commands_len; i++) {
        if (group && (!commands[i].group || strcmp(commands[i].group, words[0]) != 0))
            continue;
        fprintf(stderr, "%s %s", comma, commands_name(&commands[i], name));
        comma = ",";
    }
    fprintf(stderr, "; see ixnctl --help\n");
    return EXIT_USAGE;
}

/* For the completion of the shell and the manual: "NAME<tab>HEADING<tab>SENTENCE". */
static int s_describe_commands(void)
{
    for (size_t i = 0; i < commands_len; i++) {
        char name[COMMANDS_NAME];
        printf("%s\t%s\t%s\n", commands_name(&commands[i], name),
               commands[i].heading ? commands[i].heading : "", commands[i].sentence);
    }
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_PARTLY;
}

int main(int argc, char **argv)
{
    argp_program_version = "ixnctl " IXN_VERSION;
    argp_err_exit_status = EXIT_USAGE;
    common_t common = {.timeout_ms = 10000};
    if (argc == 2 && strcmp(argv[1], "--describe=commands") == 0)
        return s_describe_commands();
    input_t input = {.common = &common};
    if (argp_parse(&s_argp, argc, argv, ARGP_IN_ORDER, NULL, &input) != 0)
        return EXIT_USAGE;
    if (input.command == 0) {
        fprintf(stderr, "ixnctl: a command is needed, such as status; ixnctl --help lists them\n");
        return EXIT_USAGE;
    }
    char **words = argv + input.command;
    int len = argc - input.command;
    if (strcmp(words[0], "help") == 0) {
        argp_help(&s_argp, stdout, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK, "ixnctl");
        return EXIT_DONE;
    }
    const command_t *command = commands_find(words, len);
    if (!command)
        return s_unknown(words, len);
    char own[COMMANDS_NAME];
    char name[COMMANDS_NAME + 8];
    snprintf(name, sizeof name, "ixnctl %s", commands_name(command, own));
    int skipped = command->group ? 1 : 0;
    words[skipped] = name;
    int code = command->run(&common, len - skipped, words + skipped);
    common_free(&common);
    opening_await_all();
    return code;
}
