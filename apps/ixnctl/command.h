/* Command: the commands of ixnctl. Each parses its own arguments, does its work, tells errors
 * itself, and returns an exit code of tally.h. `argv[0]` is the command's whole name, for messages.
 */
#ifndef IXNCTL_COMMAND_H
#define IXNCTL_COMMAND_H

#include "apps/ixnctl/common.h"

typedef int command_fn(common_t *common, int argc, char **argv);

command_fn command_status;
command_fn command_top;
command_fn command_history;
command_fn command_events;
command_fn command_database_init;
command_fn command_database_migrate;
command_fn command_database_status;
command_fn command_database_adopt;
command_fn command_database_skip;
command_fn command_poison_list;
command_fn command_poison_forgive;
command_fn command_database_heal;
command_fn command_submit;
command_fn command_get;
command_fn command_stop;
command_fn command_place;
command_fn command_hold;
command_fn command_resume;
command_fn command_list;
command_fn command_queues;
command_fn command_apps;
command_fn command_clusters;
command_fn command_config_check;
command_fn command_config_diff;
command_fn command_config_show;
command_fn command_config_reload;
command_fn command_daps;
command_fn command_pair_keygen;
command_fn command_pair_status;
command_fn command_switchover;
command_fn command_failover;
command_fn command_pair_pause;
command_fn command_pair_resume;
command_fn command_strategy_put;
command_fn command_strategy_get;
command_fn command_strategy_list;
command_fn command_strategy_activate;
command_fn command_strategy_deactivate;
command_fn command_strategy_remove;
command_fn command_agent_add;
command_fn command_agent_remove;
command_fn command_routers;
command_fn command_router_drain;
command_fn command_router_undrain;
command_fn command_agents;
command_fn command_waiting;
command_fn command_stuck;

/* What command_pair_resume does once its arguments are read. */
int pair_resume(common_t *common, const char *reason);

#endif
