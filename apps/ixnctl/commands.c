/* Commands: see commands.h. */
#include "apps/ixnctl/commands.h"

#include <stdio.h>
#include <string.h>

const command_t commands[] = {
    {NULL, "status", "The whole of it", "All on one screen: what is wrong, and what to do",
     "ixnctl -n tcp://a:7420 -n tcp://b:7420 status", command_status},
    {NULL, "top", NULL, "The same, live", "ixnctl top", command_top},
    {NULL, "queues", NULL, "What waits in each queue, since when, and why", "ixnctl queues",
     command_queues},
    {NULL, "events", NULL, "The log as it is committed, one line an event",
     "ixnctl events --follow -o json", command_events},
    {NULL, "history", NULL, "Who was primary when, why, and for how long", "ixnctl history",
     command_history},
    {"database", "init", "The database", "Make the tables in an empty database, stamp its identity",
     "ixnctl --config ixnd.yaml database init", command_database_init},
    {"database", "migrate", NULL, "Bring the tables of an older version to this one",
     "ixnctl --config ixnd.yaml database migrate", command_database_migrate},
    {"database", "status", NULL, "Say which database this is, who writes it, how far it is",
     "ixnctl database status -o json", command_database_status},
    {"database", "adopt", NULL, "Declare that the database has moved, and where to",
     "ixnctl database adopt --reason \"moved to db-2\"", command_database_adopt},
    {"database", "skip", NULL, "Pass over an entry of the log on which nodes crash",
     "ixnctl database skip --index 4711 --reason \"crashes\"", command_database_skip},
    {"database", "heal", NULL, "Write back what the database lost, from a node's memory",
     "ixnctl database heal --lost 42 --reason \"db-1 died\"", command_database_heal},
    {NULL, "daps", NULL, "Each node's ways to it: proven, in use, how quick",
     "ixnctl -n tcp://a:7420 -n tcp://b:7420 daps", command_daps},
    {"config", "check", "The configuration", "Check a file, and where each of its DAPs leads",
     "ixnctl config check ixnd.yaml.new", command_config_check},
    {"config", "diff", NULL, "What a reload would change, and whether it would be taken",
     "ixnctl config diff ixnd.yaml.new", command_config_diff},
    {"config", "reload", NULL, "Let nodes read their files again",
     "ixnctl -n tcp://a:7420 -n tcp://b:7420 config reload", command_config_reload},
    {"config", "show", NULL, "What is in force on a node", "ixnctl config show",
     command_config_show},
    {"pair", "keygen", "The pair", "Make the key that both nodes share",
     "ixnctl pair keygen /etc/ixn/pair.key", command_pair_keygen},
    {"pair", "status", NULL, "Both nodes, as each sees them; for monitoring too",
     "ixnctl -n tcp://a:7420 -n tcp://b:7420 pair status", command_pair_status},
    {NULL, "switchover", NULL, "Let the primary hand over to the backup, in order",
     "ixnctl switchover --wait --reason \"kernel update\"", command_switchover},
    {NULL, "failover", NULL, "Let the backup take over from a primary that is gone",
     "ixnctl -n tcp://b:7420 failover --wait", command_failover},
    {NULL, "pause", NULL, "No node takes over by itself until resume",
     "ixnctl pause --reason \"network maintenance\"", command_pair_pause},
    {"pair", "resume", NULL, "End that (also: resume without an id)", "ixnctl pair resume",
     command_pair_resume},
    {"poison", "list", NULL, "Inputs that crashed nodes", "ixnctl poison list",
     command_poison_list},
    {"poison", "forgive", NULL, "Let one be tried again",
     "ixnctl poison forgive 0f0e0d0c-0b0a-0908-0706-050403020100", command_poison_forgive},
    {NULL, "submit", "Interactions in", "Submit JSON Lines, mbox, Maildir or single mails",
     "ixnctl submit --queue inbound archive.mbox.gz", command_submit},
    {NULL, "list", "Looking (as of the last checkpoint, by SQL)",
     "Interactions, by queue, state, external id, attribute",
     "ixnctl list --queue inbound --state quarantined", command_list},
    {NULL, "apps", "Application servers (asked of the node)", "How each of them does",
     "ixnctl apps", command_apps},
    {NULL, "clusters", NULL, "Members of clusters, and what waits for them",
     "ixnctl clusters -o json", command_clusters},
    {NULL, "get", "One interaction", "Show it whole, and what happened to it; finished ones too",
     "ixnctl get 0198c2a4-… -o json", command_get},
    {NULL, "place", NULL, "Move it to a queue, also out of quarantine",
     "ixnctl place 0198c2a4-… support --reason \"wrong queue\"", command_place},
    {NULL, "stuck", NULL, "Those that somebody must look at", "ixnctl stuck", command_stuck},
    {NULL, "hold", NULL, "Let it wait where it is", "ixnctl hold 0198c2a4-…", command_hold},
    {NULL, "resume", NULL, "End that", "ixnctl resume 0198c2a4-…", command_resume},
    {NULL, "stop", NULL, "End it; it goes to the history", "ixnctl stop 0198c2a4-… --reason spam",
     command_stop},
    {"strategy", "put", "Strategies, routers, agents (exact, asked of the node)",
     "Store a new version", "ixnctl strategy put classify classify.lua --router R1",
     command_strategy_put},
    {"strategy", "get", NULL, "Print one", "ixnctl strategy get classify", command_strategy_get},
    {"strategy", "list", NULL, "Where each runs, and why not", "ixnctl strategy list",
     command_strategy_list},
    {"strategy", "activate", NULL, "Let routers run a version",
     "ixnctl strategy activate classify --router R1 --router R2", command_strategy_activate},
    {"strategy", "deactivate", NULL, "Let routers run it no more",
     "ixnctl strategy deactivate classify --router R2", command_strategy_deactivate},
    {"strategy", "remove", NULL, "Remove it, all versions", "ixnctl strategy remove classify",
     command_strategy_remove},
    {NULL, "routers", NULL, "What each has and runs", "ixnctl routers", command_routers},
    {"router", "drain", NULL, "Give it no new work; what it has it finishes",
     "ixnctl router drain R1 --reason \"kernel update\" --wait", command_router_drain},
    {"router", "undrain", NULL, "End that", "ixnctl router undrain R1", command_router_undrain},
    {NULL, "waiting", NULL, "Why queues wait", "ixnctl waiting", command_waiting},
    {"agent", "add", NULL, "Declare an agent", "ixnctl agent add maria", command_agent_add},
    {"agent", "remove", NULL, "Take that back", "ixnctl agent remove maria", command_agent_remove},
    {NULL, "agents", NULL, "Agents, and for what each is reserved", "ixnctl agents",
     command_agents},
};
const size_t commands_len = sizeof commands / sizeof commands[0];

const char *commands_name(const command_t *command, char name[COMMANDS_NAME])
{
    snprintf(name, COMMANDS_NAME, "%s%s%s", command->group ? command->group : "",
             command->group ? " " : "", command->name);
    return name;
}

const command_t *commands_find(char **words, int len)
{
    for (size_t i = 0; i < commands_len; i++) {
        const command_t *command = &commands[i];
        if (!command->group && strcmp(words[0], command->name) == 0)
            return command;
        if (command->group && len > 1 && strcmp(words[0], command->group) == 0 &&
            strcmp(words[1], command->name) == 0)
            return command;
    }
    return NULL;
}

bool commands_is_group(const char *word)
{
    for (size_t i = 0; i < commands_len; i++)
        if (commands[i].group && strcmp(word, commands[i].group) == 0)
            return true;
    return false;
}
