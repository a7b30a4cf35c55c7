/* Command `status`: everything on one screen, and what to do about it. */
#include "apps/ixnctl/command.h"
#include "apps/ixnctl/gather.h"

enum { PATIENCE_MS = 1000, QUEUES_SHOWN = 10 };

static bool s_print(const common_t *common, const picture_t *picture,
                    const picture_problems_t *problems)
{
    if (common->json)
        return common_print_json(picture_json(picture, problems));
    const picture_look_t look = {.style = common_style(), .queues_max = QUEUES_SHOWN};
    buffer_t out = {0};
    picture_print(picture, problems, &look, &out);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed;
}

int command_status(common_t *common, int argc, char **argv)
{
    common_parse_only(
        common,
        "The pair, its database and its queues on one screen; what is wrong, and what to do.\v"
        "The first command when called at night. Asks both nodes of --node (with one, or with that "
        "of the configuration, the other is found by it), and the one that serves for its queues, "
        "routers and application servers. LAG is how many entries of the log a backup is behind "
        "(and how many bytes), "
        "NOT IN TABLES how much of the log is durable but not in the tables yet. Of the queues the "
        "ten are shown that need a look most; ixnctl queues has all. What is wrong is numbered, "
        "the worst first, each with what to do. Live: ixnctl top.\n\n"
        "Exit codes, for monitoring: 0 all is well; 1 one serves, but something is wrong; 3 no "
        "node answers; 4 nodes answer, but nobody serves.\n\nExamples:\n"
        "  ixnctl status\n"
        "  ixnctl -n tcp://a:7420 -n tcp://b:7420 status\n"
        "  ixnctl status -o json | jq '.problems[] | .what, .then'",
        argc, argv);
    error_t error = {0};
    gather_t *gather = gather_new(common, GATHER_PAIR, &error);
    if (!gather || !gather_take(gather, PATIENCE_MS, &error)) {
        gather_destroy(&gather);
        return common_fail(&error);
    }
    picture_problems_t problems;
    picture_find_problems(gather_picture(gather), &problems);
    int code = (int)picture_verdict(gather_picture(gather), &problems);
    if (!s_print(common, gather_picture(gather), &problems))
        code = EXIT_PARTLY;
    gather_destroy(&gather);
    return code;
}
