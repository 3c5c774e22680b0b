/* cli/tables.c -- commands.def and options.def as arrays. */
#include "cli/cli.h"

const struct command commands[NCOMMAND] = {
#define WM_COMMAND(name, least, most, args, what, more, examples)                                  \
    {#name, least, most, args, what, more, examples, cmd_##name},
#include "cli/commands.def"
#undef WM_COMMAND
};

#define ON(name) (1u << CMD_##name)
#define ON_ALL   ((1u << NCOMMAND) - 1)

const struct option_info options[NOPTION] = {
#define WM_OPTION(id, letter, name, arg, commands, help) {letter, name, arg, commands, help},
#include "cli/options.def"
#undef WM_OPTION
};
