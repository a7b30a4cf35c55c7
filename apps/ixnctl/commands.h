/* Commands: the table of all commands of ixnctl, in the order in which --help, the manual and the
 * completion of the shell show them.
 */
#ifndef IXNCTL_COMMANDS_H
#define IXNCTL_COMMANDS_H

#include "apps/ixnctl/command.h"

typedef struct {
    const char *group; /* one word before the name, or NULL */
    const char *name;
    const char *heading; /* begins a new group in the help */
    const char *sentence;
    const char *example;
    command_fn *run;
} command_t;

extern const command_t commands[];
extern const size_t commands_len;

#define COMMANDS_NAME 40

/* "pair status"; returns `name`. */
const char *commands_name(const command_t *command, char name[COMMANDS_NAME]);
/* The command that these words begin with; NULL: there is none. */
const command_t *commands_find(char **words, int len);
/* Whether a word is the first of commands of two words. */
bool commands_is_group(const char *word);

#endif
